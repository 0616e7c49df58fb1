package web

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/http2"

	"echows/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

// serve starts a server on a free port, and expects it to end without an error.
func serve(t *testing.T, cfg Config) *Server {
	t.Helper()
	cfg.Addr, cfg.Flag = "127.0.0.1:0", "-addr"
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)
	return s
}

// run runs s until the test ends.
func run(t *testing.T, s *Server) {
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("serving ends with %v", err)
		}
	})
}

// pair returns the certificate for 127.0.0.1 of net/http's tests.
func pair(t *testing.T) *tls.Config {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates}
}

// An HTTP/2 client learns the limits from the first frame.
func TestHTTP2SaysItsLimits(t *testing.T) {
	s := serve(t, Config{Handler: Live(), TLS: pair(t)})
	conn, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		t.Fatal("the server does not speak HTTP/2")
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	f, err := framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	first, ok := f.(*http2.SettingsFrame)
	if !ok || first.IsAck() {
		t.Fatalf("the first frame is %v", f)
	}
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: settings.Streams,
		http2.SettingMaxFrameSize:         settings.StreamFrame,
		http2.SettingInitialWindowSize:    settings.StreamBuffer,
	} {
		if got, ok := first.Value(id); !ok || got != want {
			t.Errorf("%v is %d, want %d", id, got, want)
		}
	}
	if got, ok := first.Value(http2.SettingMaxHeaderListSize); !ok || got < settings.HeaderBytes || got > settings.HeaderBytes+1024 {
		t.Errorf("%v is %d, want %d and a little", http2.SettingMaxHeaderListSize, got, settings.HeaderBytes)
	}
	for { // and the window of the connection: 65,535 bytes plus an update
		f, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if wider, ok := f.(*http2.WindowUpdateFrame); ok {
			if got := 65_535 + wider.Increment; got != settings.StreamsBuffer {
				t.Errorf("the connection's window is %d, want %d", got, settings.StreamsBuffer)
			}
			return
		}
	}
}

func TestListenSaysWhichSettingIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := Listen(Config{Addr: taken.Addr().String(), Flag: "-metrics-addr"}); err == nil || !strings.Contains(err.Error(), "is in use; stop what listens there or choose another with -metrics-addr") {
		t.Errorf("a taken port: %v", err)
	}
	if _, err := Listen(Config{Addr: "192.0.2.1:80", Flag: "-metrics-addr"}); err == nil || !strings.Contains(err.Error(), "192.0.2.1:80 (-metrics-addr)") {
		t.Errorf("an address of another machine: %v", err)
	}
}

// Shutdown releases the address of a server that never served, and Serve then returns immediately.
func TestShutdownWithoutServing(t *testing.T) {
	s, err := Listen(Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", s.Addr().String()); err == nil {
		conn.Close()
		t.Error("the address is still listened on")
	}
	if err := s.Serve(); err != nil {
		t.Errorf("serving afterwards: %v", err)
	}
}

// A request that does not end is aborted when the context ends.
func TestShutdownInTime(t *testing.T) {
	came, leave := make(chan struct{}), make(chan struct{})
	s, err := Listen(Config{Addr: "127.0.0.1:0", Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(came)
		<-r.Context().Done()
		close(leave)
	})})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	go http.Get("http://" + s.Addr().String())
	<-came
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); err == nil {
		t.Error("a request under way is taken for an end")
	}
	<-leave
	if err := <-ended; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// A body that never arrives does not hold its connection, even if the handler does not read it.
func TestReadTimeout(t *testing.T) {
	s := serve(t, Config{Handler: Live(), ReadTimeout: time.Second / 10})
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays")
	}
}
