// Package web is HTTP as this program serves it: every wait has an end, HTTP/2 has limits, and an address is believed of
// nobody but trusted proxies. What is answered is others' business, but for whether the process lives and is ready.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"echows/settings"
)

// Config is what a Server serves, and where.
type Config struct {
	Addr    string // to listen on
	Flag    string // the setting that has Addr, for errors: -addr
	Handler http.Handler
	TLS     *tls.Config // nil for plain HTTP
	Conns   *Conns      // bounds its connections; nil for no bounds
	// WriteTimeout is how long an answer may take, from its request; 0 for no limit, where the handler has one of its
	// own (AnswerInTime).
	WriteTimeout time.Duration
	// ReadTimeout is how long a request may take to arrive, body included; 0 for no limit but that of its header, where the
	// handler has one of its own (BodyInTime).
	ReadTimeout time.Duration
}

// Server is an address that is listened on. Its methods may be called from any goroutine.
type Server struct {
	http     *http.Server
	listener net.Listener
}

// Listen listens. The error says which setting to change. Close, or Shutdown, ends it.
func Listen(cfg Config) (*Server, error) {
	listener, err := net.Listen("tcp", cfg.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use; stop what listens there or choose another with %s", cfg.Addr, cfg.Flag)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s (%s): %w", cfg.Addr, cfg.Flag, err)
	}
	s := &Server{listener: listener, http: &http.Server{
		Handler:           headAsGet(cfg.Handler),
		TLSConfig:         cfg.TLS,
		ReadHeaderTimeout: settings.HeaderTime,
		ReadTimeout:       cfg.ReadTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       settings.IdleTime,
		MaxHeaderBytes:    settings.HeaderBytes, // a socket keeps them
		ErrorLog:          settings.HTTPLog(),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          settings.Streams,
			MaxReadFrameSize:              settings.StreamFrame,
			MaxReceiveBufferPerStream:     settings.StreamBuffer,
			MaxReceiveBufferPerConnection: settings.StreamsBuffer,
			SendPingTimeout:               settings.StreamPing,
			PingTimeout:                   settings.StreamPing,
			WriteByteTimeout:              settings.AnswerTime,
		},
	}}
	if cfg.Conns != nil {
		s.http.ConnState = cfg.Conns.changed
	}
	return s, nil
}

// Serve answers until Shutdown or Close, and then returns nil; an error is why it ended by itself.
func (s *Server) Serve() error {
	var err error
	if s.http.TLSConfig != nil {
		err = s.http.ServeTLS(s.listener, "", "")
	} else {
		err = s.http.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Addr is the address that is listened on.
func (s *Server) Addr() *net.TCPAddr { return s.listener.Addr().(*net.TCPAddr) }

// Shutdown accepts no more connections, and waits for requests under way; those that ctx does not wait for are ended, and
// its error returned. A Server that never served is closed, too.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.listener.Close() // which http.Server does only once it serves
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	return err
}
