// Package web configures this program's HTTP servers: every wait has a timeout, connections and HTTP/2 streams have limits,
// and only trusted proxies may name another client address. Its only handlers of its own report whether the process is alive
// and ready.
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

// Config configures a Server.
type Config struct {
	Addr    string // to listen on
	Flag    string // name of the setting for Addr, such as -addr; for errors
	Handler http.Handler
	TLS     *tls.Config // nil for plain HTTP
	Conns   *Conns      // limits its connections; nil for no limits
	// WriteTimeout is how long an answer may take, counted from its request; 0 for no limit, if the handler has its own
	// (AnswerInTime).
	WriteTimeout time.Duration
	// ReadTimeout is how long a request may take to arrive, including its body; 0 to limit only its header, if the handler
	// has its own limit (Bodies.InTime).
	ReadTimeout time.Duration
}

// Server is an HTTP server that listens on one address. Its methods may be called from any goroutine.
type Server struct {
	http     *http.Server
	listener net.Listener
}

// Listen starts listening on cfg.Addr. Its error names the setting to change. Call Shutdown to stop listening.
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
		MaxHeaderBytes:    settings.HeaderBytes, // a WebSocket keeps the header in memory
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

// Serve answers requests until Shutdown is called, and then returns nil. It returns an error if it fails before.
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

// Addr returns the address that the server listens on.
func (s *Server) Addr() *net.TCPAddr { return s.listener.Addr().(*net.TCPAddr) }

// Shutdown stops listening, and waits for requests in progress. If ctx ends first, Shutdown closes their connections and
// returns ctx's error. It also closes a Server that never served.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.listener.Close() // http.Server closes it only if Serve was called
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	return err
}
