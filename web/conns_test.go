package web

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bounded is a server with limits on its connections.
type bounded struct {
	t *testing.T
	*Server
	conns   *Conns
	states  chan http.ConnState // of its connections
	release chan struct{}       // ends a request for /wait
}

// bound starts a server with limits. When the test ends, no connection may still be counted.
func bound(t *testing.T, limits ConnLimits, certificates *tls.Config) *bounded {
	b := &bounded{t: t, conns: NewConns(limits), states: make(chan http.ConnState, 1000), release: make(chan struct{})}
	t.Cleanup(func() { // runs last, after the server has ended
		for deadline := time.After(patience); ; {
			b.conns.mu.Lock()
			open, all, idle, addresses := len(b.conns.open), b.conns.all.conns, b.conns.all.idle.Len(), len(b.conns.addresses)
			b.conns.mu.Unlock()
			if open == 0 && all == 0 && idle == 0 && addresses == 0 {
				return
			}
			select {
			case <-b.states:
			case <-deadline:
				t.Fatalf("in the end %d connections are open, %d counted, %d idle, of %d addresses", open, all, idle, addresses)
			}
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/", Live())
	mux.HandleFunc("/wait", func(http.ResponseWriter, *http.Request) { <-b.release })
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n")
		t.Cleanup(func() { conn.Close() })
	})
	s, err := Listen(Config{Addr: "127.0.0.1:0", Handler: mux, TLS: certificates, Conns: b.conns})
	if err != nil {
		t.Fatal(err)
	}
	changed := s.http.ConnState
	s.http.ConnState = func(conn net.Conn, state http.ConnState) {
		changed(conn, state)
		b.states <- state
	}
	b.Server = s
	run(t, s)
	return b
}

// await waits until a connection enters a state.
func (b *bounded) await(want http.ConnState) {
	b.t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case got := <-b.states:
			if got == want {
				return
			}
		case <-deadline:
			b.t.Fatalf("no connection is %v", want)
		}
	}
}

// counted checks how often a new connection was closed because of the limit in total and of the limit per address, and an
// idle one because of either.
func (b *bounded) counted(full, addressFull, idle uint64) {
	b.t.Helper()
	got, want := [3]uint64{b.conns.full.Load(), b.conns.addressFull.Load(), b.conns.idleClosed.Load()}, [3]uint64{full, addressFull, idle}
	if got != want {
		b.t.Errorf("counted are %v, want %v", got, want)
	}
}

// client is one connection.
type client struct {
	net.Conn
	in *bufio.Reader
}

// dial connects from the given address.
func (b *bounded) dial(from string) *client {
	b.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := d.DialContext(b.t.Context(), "tcp", b.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	b.await(http.StateNew)
	return &client{conn, bufio.NewReader(conn)}
}

func (c *client) send(path string) {
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path) // reading shows errors
}

// gets reports whether a request gets the given status.
func (c *client) gets(path string, status int) bool {
	c.send(path)
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	if status != http.StatusSwitchingProtocols {
		io.Copy(io.Discard, res.Body)
	}
	return res.StatusCode == status
}

// isClosed reports whether the server closes the connection.
func (c *client) isClosed() bool {
	_, err := c.in.ReadByte()
	timeout, ok := err.(net.Error)
	return err != nil && !(ok && timeout.Timeout())
}

// idle returns a connection that has received its answer.
func (b *bounded) idle(from string) *client {
	b.t.Helper()
	c := b.dial(from)
	if !c.gets("/", http.StatusOK) {
		b.t.Fatalf("no answer to %s", from)
	}
	b.await(http.StateIdle)
	return c
}

// busy returns a connection with a request in progress.
func (b *bounded) busy(from string) *client {
	b.t.Helper()
	c := b.dial(from)
	c.send("/wait")
	b.await(http.StateActive)
	return c
}

const one, another = "127.0.0.1", "127.0.0.2"

func TestTheLongestIdleConnectionMakesRoom(t *testing.T) {
	b := bound(t, ConnLimits{Most: 100, MostAddress: 3}, nil)
	foreign := b.idle(another) // idle for longer, but of another address
	first, second, third := b.idle(one), b.idle(one), b.idle(one)
	if !first.gets("/", http.StatusOK) {
		t.Fatal("no second answer")
	}
	b.await(http.StateIdle)
	fourth := b.idle(one)
	if !second.isClosed() {
		t.Error("the connection that is idle longest stays")
	}
	b.counted(0, 0, 1)
	for i, c := range []*client{foreign, first, third, fourth} {
		if !c.gets("/", http.StatusOK) {
			t.Errorf("connection %d was closed", i)
		}
	}
}

func TestBusyConnectionsStay(t *testing.T) {
	b := bound(t, ConnLimits{Most: 4, MostAddress: 2}, nil)
	again := b.idle(one)
	again.send("/wait")
	b.await(http.StateActive)
	busy := []*client{again, b.busy(one)}
	if !b.dial(one).isClosed() {
		t.Error("a third connection of an address is taken")
	}
	b.counted(0, 1, 0)
	busy = append(busy, b.busy(another)) // it is still served
	idle := b.idle(another)
	newcomer := b.idle("127.0.0.3")
	if !idle.isClosed() {
		t.Error("an idle connection makes no room for another address")
	}
	b.counted(0, 1, 1)
	close(b.release)
	for i, c := range busy {
		if res, err := http.ReadResponse(c.in, nil); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("busy connection %d: %v", i, err)
		}
	}
	newcomer.Close()
	for range busy {
		b.await(http.StateIdle)
	}
}

func TestAFullServerRefuses(t *testing.T) {
	b := bound(t, ConnLimits{Most: 2, MostAddress: 2}, nil)
	b.busy(one)
	b.busy(another)
	if !b.dial("127.0.0.3").isClosed() {
		t.Error("a third connection is taken")
	}
	b.counted(1, 0, 0)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(b.conns.Collector())
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "echows_limits_reached_total" || len(families[0].Metric) != 3 {
		t.Fatalf("it is counted that %v, %v", families, err)
	}
	for _, m := range families[0].Metric {
		want := map[string]float64{"http_connections": 1, "address_http_connections": 0, "idle_http_connections": 0}
		if limit := m.Label[0].GetValue(); m.Counter.GetValue() != want[limit] {
			t.Errorf("%s is %v", limit, m.Counter.GetValue())
		}
	}
	close(b.release)
}

func TestRoomIsGivenBack(t *testing.T) {
	b := bound(t, ConnLimits{Most: 1, MostAddress: 1}, nil)
	for range 3 { // a WebSocket no longer counts
		if c := b.dial(one); !c.gets("/upgrade", http.StatusSwitchingProtocols) {
			t.Fatal("it is not upgraded")
		}
	}
	for range 3 {
		b.dial(one).Close() // without a request
		b.await(http.StateClosed)
		c := b.idle(one)
		c.Close()
		b.await(http.StateClosed)
	}
	b.counted(0, 0, 0)
}

func TestProxiesHaveManyConnections(t *testing.T) {
	b := bound(t, ConnLimits{Most: 3, MostAddress: 1, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, nil)
	first := b.idle(one)
	b.idle(one)
	b.idle(one)
	b.counted(0, 0, 0)
	b.idle(another)
	if !first.isClosed() {
		t.Error("in all there are more than there may be")
	}
	b.counted(0, 0, 1)
	b.busy(one) // closes the proxy's oldest; the next one closes its own address's, which is not a proxy
	b.busy(another)
	close(b.release)
	b.counted(0, 0, 3)
}

// TLS connections are closed without waiting for the client, and HTTP/2 connections, too, are idle between requests.
func TestSecureConnectionsMakeRoom(t *testing.T) {
	b := bound(t, ConnLimits{Most: 1, MostAddress: 1}, pair(t))
	silent := b.dial(one)
	if !b.dial(one).isClosed() {
		t.Error("a connection before its handshake makes room")
	}
	silent.Close()
	b.await(http.StateClosed)
	b.await(http.StateClosed)
	for _, protocol := range []string{"http/1.1", "h2"} {
		get := func() {
			t.Helper()
			protocols := new(http.Protocols)
			protocols.SetHTTP1(protocol == "http/1.1")
			protocols.SetHTTP2(protocol == "h2")
			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: protocols}
			t.Cleanup(transport.CloseIdleConnections)
			res, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + b.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			b.await(http.StateActive)
			b.await(http.StateIdle)
			if protocol == "h2" { // HTTP/2 connections begin as active, before their first request
				b.await(http.StateActive)
				b.await(http.StateIdle)
				if res.ProtoMajor != 2 {
					t.Errorf("it is %s", res.Proto)
				}
			}
		}
		get()
		get()
		get()
	}
	b.counted(0, 1, 5)
}

func TestAddressOf(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1":          "192.0.2.1/32",
		"::ffff:192.0.2.1":   "192.0.2.1/32",
		"2001:db8:0:1:2::3":  "2001:db8:0:1::/64",
		"2001:db8:0:1:9::":   "2001:db8:0:1::/64",
		"fe80::1:2:3:4%eth0": "fe80::/64",
	} {
		remote := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 1))
		if _, got := addressOf(fakeConn{remote: remote}); got.String() != want {
			t.Errorf("%s counts as %v", addr, got)
		}
	}
	if _, got := addressOf(fakeConn{remote: &net.UnixAddr{}}); got.IsValid() {
		t.Errorf("a socket of this machine counts as %v", got)
	}
}

// fakeConn has only an address.
type fakeConn struct {
	net.Conn
	remote net.Addr
}

func (c fakeConn) RemoteAddr() net.Addr { return c.remote }
