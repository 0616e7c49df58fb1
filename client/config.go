package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"echows/ws"
)

// ErrNotConnected is the error of sending while there is no connection. The message was not sent, and will not be.
var ErrNotConnected = errors.New("client: not connected")

// Target returns where to connect. It is called before each attempt, with a context that ends after Config.Timeout, and
// may take time, for example to request a ticket. header is sent in addition to that of Config.Dial. An error counts as
// a failed attempt; a *ws.HandshakeError has the same effect as one from the server.
type Target func(ctx context.Context) (url string, header http.Header, err error)

// URL returns a Target that always returns the same address: a ws:, wss:, http: or https: URL.
func URL(address string) Target {
	err := checkURL(address)
	return func(context.Context) (string, http.Header, error) { return address, nil, err }
}

// checkURL returns a permanentError if an address is wrong.
func checkURL(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return &permanentError{err}
	}
	switch u.Scheme {
	case "ws", "wss", "http", "https":
	default:
		return &permanentError{fmt.Errorf("%q is not a ws:, wss:, http: or https: URL", address)}
	}
	if u.Host == "" {
		return &permanentError{fmt.Errorf("%q has no host", address)}
	}
	return nil
}

// permanentError is an error that no further attempt can change.
type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// State is what a connection is doing.
type State int

const (
	StateConnecting State = iota // calling the Target, or in the handshake
	StateOpen                    // messages can be sent
	StateWaiting                 // for the next attempt
	StateClosed                  // for good
)

func (s State) String() string {
	return [...]string{"connecting", "open", "waiting", "closed"}[s]
}

// Config holds the settings of a Conn. The zero value is ready for use.
//
// The callbacks are called one at a time. None may wait for the end of the Conn, which waits for them.
type Config struct {
	// Dial holds the settings of each connection.
	Dial ws.DialConfig
	// Timeout bounds one attempt, including the Target and the handshake; 10 s by default.
	Timeout time.Duration
	// OnOpen is called for each connection, before anything is read from it. It may send, and register OnPong with s.
	// An error closes the connection, as the error of a ws.Handler does.
	OnOpen func(s *ws.Socket) error
	// OnMessage is called with each message. m.Data is valid until it returns. An error closes the connection, with the code
	// of a *ws.CloseError, or otherwise with 1011; Retry then decides whether to connect again.
	OnMessage func(m ws.Message) error
	// OnState is called at each change. wait is how long StateWaiting will last at most. In StateWaiting and StateClosed, err
	// is why the last connection or attempt ended; it is nil after Close.
	OnState func(state State, wait time.Duration, err error)
	// Retry reports whether to connect again after err. If there was a connection, err is or wraps a *ws.CloseError;
	// otherwise it says why there was none. The default is Retryable.
	Retry func(err error) bool

	random func() float64 // in [0, 1)
}

func (c Config) withDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.OnOpen == nil {
		c.OnOpen = func(*ws.Socket) error { return nil }
	}
	if c.OnMessage == nil {
		c.OnMessage = func(ws.Message) error { return nil }
	}
	if c.OnState == nil {
		c.OnState = func(State, time.Duration, error) {}
	}
	if c.Retry == nil {
		c.Retry = Retryable
	}
	if c.random == nil {
		c.random = rand.Float64
	}
	return c
}

// Retryable reports whether another attempt may succeed after one that ended with err. It reports false for the close
// codes 1002, 1003, 1007, 1008, 1009 and 4000–4999 (an application's own), for HTTP answers from 400 to 499, such as
// 401, 403 or 404, except 408, 425 and 429, which ask for patience, and for an invalid URL.
func Retryable(err error) bool {
	var permanent *permanentError
	if errors.As(err, &permanent) {
		return false
	}
	if refused := (*ws.HandshakeError)(nil); errors.As(err, &refused) {
		return retryableStatus(refused.StatusCode)
	}
	if closed := (*ws.CloseError)(nil); errors.As(err, &closed) {
		return retryableCode(closed.Code)
	}
	return true
}

func retryableCode(code ws.CloseCode) bool {
	switch code {
	case ws.CloseProtocolError, ws.CloseUnsupportedData, ws.CloseInvalidPayload, ws.ClosePolicyViolation, ws.CloseTooBig:
		return false
	}
	return code < 4000 || code > 4999
}

func retryableStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status < 400 || status > 499
}
