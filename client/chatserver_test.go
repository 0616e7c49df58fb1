package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/labstack/echo/v4"

	"echows/broker"
	"echows/chat"
	"echows/hub"
	"echows/ws"
)

// chatServer is the chat as server.go wires it, on a real listener.
type chatServer struct {
	t      testing.TB
	dir    string
	addr   string
	broker *broker.Broker
	chat   *chat.Chat
	app    *ws.App
	http   *http.Server
	served chan error
	cut    *cutter

	tickets atomic.Int32 // asked for
	spoiled atomic.Bool  // they are good for nothing
}

// startChat serves the messages of a folder; addr is "127.0.0.1:0", or a reserved one, if another server will listen on it.
func startChat(t testing.TB, dir, addr string, limits chat.Limits) *chatServer {
	t.Helper()
	s := &chatServer{t: t, dir: dir, served: make(chan error, 1), cut: &cutter{done: make(chan struct{}, 1)}}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	if s.broker, err = broker.Open(ctx, broker.Config{Dir: dir, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	s.app = ws.New(e, ws.Config{Logger: quiet})
	s.chat, err = chat.Open(ctx, s.app, hub.New(), s.broker, chat.Config{
		Secret: []byte("a secret of more than 16 bytes"),
		Logger: quiet,
		Limits: limits,
	})
	if err != nil {
		t.Fatal(err)
	}
	e.POST("/session", s.chat.SignIn, s.chat.LimitSessions())
	e.POST("/ticket", s.chat.Ticket, s.count, s.chat.RequireSession)
	s.app.WS("/ws/chat/:room", s.chat.Join, chat.RequireRoom, chat.RequireAfter, s.chat.RequireTicket)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	s.http = &http.Server{Handler: e}
	go func() { s.served <- s.http.Serve(&cutListener{l, s.cut}) }()
	t.Cleanup(s.close)
	return s
}

func (s *chatServer) count(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		s.tickets.Add(1)
		if s.spoiled.Load() {
			return c.JSON(http.StatusCreated, map[string]string{"ticket": "spoiled"})
		}
		return next(c)
	}
}

func (s *chatServer) url() string { return "http://" + s.addr }

// close ends the server; it may be called again.
func (s *chatServer) close() {
	if s.http == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.http.Close()
	<-s.served
	if err := s.app.Shutdown(ctx); err != nil {
		s.t.Errorf("shutdown: %v", err)
	}
	s.chat.Close()
	s.broker.Close()
	s.http = nil
}

// cutter cuts the connection on which something is about to be sent, instead of sending it.
type cutter struct {
	at   atomic.Pointer[string]
	done chan struct{} // holds one when it is cut
}

// next makes the next connection that would send what holds text the one to be cut.
func (c *cutter) next(text string) { c.at.Store(&text) }

type cutListener struct {
	net.Listener
	cut *cutter
}

func (l *cutListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &cutConn{c, l.cut}, nil
}

type cutConn struct {
	net.Conn
	cut *cutter
}

func (c *cutConn) Write(p []byte) (int, error) {
	if at := c.cut.at.Load(); at != nil && bytes.Contains(p, []byte(*at)) && c.cut.at.CompareAndSwap(at, nil) {
		c.Conn.Close()
		select {
		case c.cut.done <- struct{}{}:
		default:
		}
		return 0, errors.New("cut")
	}
	return c.Conn.Write(p)
}
