package socketio_test

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"echows/socketio"
	"echows/socketio/engineio"
)

// metrics returns the Server's metrics as Prometheus reads them, without the common prefix of their names.
func (s *server) metrics() map[string]float64 {
	s.t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s.io.Collector())
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != 200 {
		s.t.Fatalf("the metrics cannot be read: %s", answer.Body)
	}
	all := map[string]float64{}
	for line := range strings.Lines(answer.Body.String()) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if name += "}"; !ok {
			name, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		}
		if n, err := strconv.ParseFloat(value, 64); err == nil && !strings.HasPrefix(name, "#") {
			all[strings.TrimPrefix(name, "echows_")] = n
		}
	}
	return all
}

// expectMetrics compares the metrics that are neither 0 nor times.
func (s *server) expectMetrics(want map[string]float64) {
	s.t.Helper()
	got := s.metrics()
	maps.DeleteFunc(got, func(name string, n float64) bool {
		return n == 0 || strings.Contains(name, "_seconds_") && !strings.HasSuffix(name, "_count")
	})
	if !maps.Equal(got, want) {
		s.t.Errorf("the metrics are\n%v, want\n%v", got, want)
	}
}

func TestMetrics(t *testing.T) {
	s := start(t, socketio.Config{Recovery: time.Minute})
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.On("ask", func(e socketio.Event) error { return e.Ack() })
		return nil
	})
	s.expectMetrics(map[string]float64{})
	c, _ := s.caller("")
	c.post(`421["ask"]`, `42["tell"]`)
	c.get()
	p := s.dial()
	p.send("40")
	p.read()
	const route = `route="/socket.io/",transport="polling"}`
	s.expectMetrics(map[string]float64{
		"connections{" + route: 1, "connections_total{" + route: 1,
		"socketio_sessions": 2, "socketio_sessions_total": 2, "socketio_sockets": 2, "socketio_events_received_total": 2,
		"socketio_polling_received_bytes_total": 23, "socketio_polling_sent_bytes_total": 190,
		"socketio_polling_handling_seconds_count": 2,
	})
	s.io.Emit("to two")
	s.io.Socket(c.sid).Emit("to one")
	s.io.To("nobody").Emit("to none")
	s.io.Socket(c.sid).Volatile().Emit("later is too late")
	offset := c.offset()
	c.leave()
	c, _ = c.back(offset)
	c.leave()
	s.io.Emit("missed by one")
	offset, c.pid = "", "unknown"
	c, _ = c.back(offset)
	c.leave()
	s.expectMetrics(map[string]float64{
		"connections_total{" + route: 3,
		"socketio_sessions":          1, "socketio_sessions_total": 4, "socketio_sockets": 1,
		"socketio_events_received_total": 2, "socketio_events_sent_total": 4,
		"socketio_polling_received_bytes_total": 96, "socketio_polling_sent_bytes_total": 596,
		"socketio_polling_handling_seconds_count": 7,
		`socketio_recoveries_total{result="hit"}`: 1, `socketio_recoveries_total{result="miss"}`: 1,
	})
}

// What waits is counted in bytes, except 16 KiB of each.
func TestWaitingBytesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{})
		defer s.close()
		c, _ := s.caller("")
		expect := func(buffered, partial bool) {
			t.Helper()
			synctest.Wait() // a POST is given back after its answer
			got := s.metrics()
			if b, p := got["socketio_buffered_bytes"], got["socketio_partial_bytes"]; b > 0 != buffered || p > 0 != partial || max(b, p) > 110<<10 {
				t.Errorf("%v and %v bytes wait", b, p)
			}
		}
		expect(false, false)
		s.io.Emit("a", strings.Repeat("x", 100<<10))
		expect(true, false)
		c.post(twoAttachments, "b"+strings.Repeat("AAAA", 10<<10))
		expect(true, true)
		c.get()
		expect(false, true)
		c.post("bAAAA")
		expect(false, false)
	})
}

// leave is like lose, but the client reads the answer.
func (c *caller) leave() {
	c.lose()
	c.call("GET", c.session, "")
}

// Each way to send an event counts it once for each socket.
func TestSentEventsAreCounted(t *testing.T) {
	for _, recovery := range []time.Duration{0, time.Minute} {
		s := newServer(t, socketio.Config{Recovery: recovery})
		defer s.close()
		c, _ := s.caller("")
		other, _ := s.caller("")
		one := s.io.Socket(c.sid)
		for what, send := range map[string]struct {
			want float64
			emit func()
		}{
			"Emit":               {1, func() { one.Emit("a", 1) }},
			"Emit of bytes":      {1, func() { one.Emit("a", []byte{1}) }},
			"to all":             {2, func() { s.io.Emit("a") }},
			"to a room":          {1, func() { s.io.To(other.sid).Emit("a") }},
			"EmitWithAck":        {1, func() { one.EmitWithAck(ended(t), "a") }},
			"EmitWithAck of all": {2, func() { s.io.EmitWithAck(ended(t), "a") }},
			"a reserved name":    {0, func() { one.Emit("connect") }},
		} {
			before := s.metrics()["socketio_events_sent_total"]
			send.emit()
			if got := s.metrics()["socketio_events_sent_total"] - before; got != send.want {
				t.Errorf("recovery %v, %s: %v events, want %v", recovery, what, got, send.want)
			}
		}
	}
}

// Each limit has its own metric.
func TestLimitsAreCounted(t *testing.T) {
	long := strings.Repeat("x", 20<<10)
	for name, c := range map[string]struct {
		cfg   socketio.Config
		reach func(s *server)
	}{
		"socketio_namespaces": {limited(socketio.Limits{Namespaces: 1}), func(s *server) {
			c, _ := s.caller("")
			c.post("40/other,")
		}},
		"socketio_connects": {limited(socketio.Limits{Namespaces: 2, Connects: .001}), func(s *server) {
			c, _ := s.caller("")
			c.post("40/other,", "40/third,")
		}},
		"socketio_auth": {limited(socketio.Limits{Auth: 10}), func(s *server) {
			s.call("POST", s.openCall(), `40{"name":"long"}`)
		}},
		"socketio_arguments": {limited(socketio.Limits{Arguments: 1}), func(s *server) {
			c, _ := s.caller("")
			c.post(`42["a",1,2]`)
		}},
		"socketio_attachments": {limited(socketio.Limits{Attachments: 1}), func(s *server) {
			c, _ := s.caller("")
			c.post(`452-["a"]`)
		}},
		"socketio_attachment_bytes": {limited(socketio.Limits{AttachmentBytes: 4}), func(s *server) {
			c, _ := s.caller("")
			c.post(`451-["a",{"_placeholder":true,"num":0}]`, "bAAAAAAAA")
		}},
		"socketio_address_partial_bytes": {limited(socketio.Limits{PartialBytes: 4}), func(s *server) {
			c, _ := s.caller("")
			c.post(`452-["a"]`, "b"+strings.Repeat("AAAA", 6<<10))
		}},
		"socketio_partial_bytes": {limited(socketio.Limits{PartialBytes: 64 << 10}), func(s *server) {
			for i := range 5 { // each counts for 15 KiB
				s.address = fmt.Sprintf("192.0.2.%d:1", i)
				c, _ := s.caller("")
				c.post(`452-["a"]`, "b"+strings.Repeat("AAAA", 31<<10/3))
			}
		}},
		"socketio_rooms": {limited(socketio.Limits{Rooms: 1}), func(s *server) {
			c, _ := s.caller("")
			s.io.Socket(c.sid).Join("a", "b")
		}},
		"socketio_acks": {limited(socketio.Limits{Acks: 1}), func(s *server) {
			c, _ := s.caller("")
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.io.Socket(c.sid).EmitWithAck(s.t.Context(), "a")
			}()
			c.get()
			s.io.Socket(c.sid).EmitWithAck(s.t.Context(), "b")
			c.post("1")
			<-done
		}},
		"socketio_sessions": {socketio.Config{Engine: engineio.Config{MaxSessions: 1}}, func(s *server) {
			s.openCall()
			s.call("GET", "", "")
		}},
		"socketio_address_buffered": {socketio.Config{Engine: engineio.Config{MaxBuffered: 1}}, func(s *server) {
			s.call("POST", s.openCall(), "4"+long)
		}},
		"socketio_buffered": {socketio.Config{Engine: engineio.Config{MaxBuffered: 64 << 10}}, func(s *server) {
			c, _ := s.caller("")
			s.io.Socket(c.sid).Emit("a", strings.Repeat("x", 100<<10)) // more than MaxBuffered waits, all for one address
			s.address = "192.0.2.2:1"
			s.call("POST", s.openCall(), "4"+long)
		}},
		"socketio_packets": {socketio.Config{Engine: engineio.Config{MaxPackets: 2}}, func(s *server) {
			s.call("POST", s.openCall(), "3\x1e3\x1e3")
		}},
		"socketio_namespace_name": {socketio.Config{}, func(s *server) {
			s.call("POST", s.openCall(), "40/"+strings.Repeat("x", 256)+",")
		}},
		"socketio_connect_time": {socketio.Config{}, func(s *server) {
			s.openCall()
			time.Sleep(45 * time.Second)
			synctest.Wait()
		}},
		"socketio_partial_time": {socketio.Config{Engine: engineio.Config{PingTimeout: time.Minute}}, func(s *server) {
			c, _ := s.caller("")
			c.post(`452-["a"]`)
			time.Sleep(30 * time.Second)
			synctest.Wait()
		}},
		"socketio_payload": {socketio.Config{Engine: engineio.Config{MaxPayload: 100}}, func(s *server) {
			s.call("POST", s.openCall(), "4"+long)
		}},
		"address_events": {socketio.Config{Engine: engineio.Config{AddressMessageRate: 1}}, func(s *server) {
			s.call("POST", s.openCall(), "3\x1e3\x1e3")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, c.cfg)
				defer s.close()
				s.io.Of("/other")
				c.reach(s)
				got := s.metrics()
				maps.DeleteFunc(got, func(metric string, n float64) bool { return !strings.HasPrefix(metric, "limits") || n == 0 })
				want := fmt.Sprintf("limits_reached_total{limit=%q}", name)
				if all := slices.Collect(maps.Keys(got)); !slices.Equal(all, []string{want}) || got[want] != 1 {
					t.Errorf("the metrics are %v, want %s 1", got, want)
				}
			})
		})
	}
}

func limited(l socketio.Limits) socketio.Config { return socketio.Config{Limits: l} }

func TestMetricsOfEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{})
		defer s.close()
		c, _ := s.caller("")
		s.io.Socket(c.sid).Disconnect(false)
		s.openCall()
		time.Sleep(2 * time.Minute)
		got := s.metrics()
		if got["socketio_disconnects_total"] != 1 {
			t.Errorf("%v", got)
		}
		if got[`silent_closed_total{transport="socketio_websocket"}`] != 0 || got[`silent_closed_total{transport="polling"}`] == 0 {
			t.Error("silence is miscounted")
		}
	})
}
