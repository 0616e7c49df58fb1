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

// ErrNotConnected is what sending returns while there is no connection. Nothing was sent, and nothing will be.
var ErrNotConnected = errors.New("client: not connected")

// Target says where to connect. It is called before each attempt, with a context that ends with Config.Timeout, and
// may take its time: to get a ticket, for example. header is sent beside that of Config.Dial. An error counts as a
// failed attempt; a *ws.HandshakeError is judged as one of the server's.
type Target func(ctx context.Context) (url string, header http.Header, err error)

// URL is the Target that is always the same: a ws:, wss:, http: or https: address.
func URL(address string) Target {
	err := checkURL(address)
	return func(context.Context) (string, http.Header, error) { return address, nil, err }
}

// checkURL says what is wrong with an address that no attempt would mend.
func checkURL(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return &permanentError{err}
	}
	switch u.Scheme {
	case "ws", "wss", "http", "https":
	default:
		return &permanentError{fmt.Errorf("%q is no ws:, wss:, http: or https: URL", address)}
	}
	if u.Host == "" {
		return &permanentError{fmt.Errorf("%q has no host", address)}
	}
	return nil
}

// permanentError is one that no further attempt would mend.
type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// State is what a connection is doing.
type State int

const (
	StateConnecting State = iota // asks the Target, and shakes hands
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
	// Timeout bounds one attempt, the Target's part and the handshake together; 10 s by default.
	Timeout time.Duration
	// OnOpen is called for each connection, before anything is read from it. It may send, and register OnPong with
	// s. An error closes the connection, as one of a ws.Handler does.
	OnOpen func(s *ws.Socket) error
	// OnMessage is called with each message. m.Data is valid until it returns. An error closes the connection, with
	// the code of a *ws.CloseError, otherwise with 1011; whether another follows is for Retry to say.
	OnMessage func(m ws.Message) error
	// OnState is called at each change. wait is how long StateWaiting will last at most. err is why the last
	// connection or attempt ended, in StateWaiting and StateClosed; nil where Close was called.
	OnState func(state State, wait time.Duration, err error)
	// Retry reports whether to come back after err, which is, or wraps, a *ws.CloseError where there was a
	// connection, and otherwise says why there was none; Retryable by default.
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

// Retryable reports whether another attempt may fare better than the one that ended with err. It may not after the
// close codes 1002, 1003, 1007, 1008, 1009 and an application's own, 4000–4999; nor after an HTTP answer from 400 to
// 499, such as 401, 403 or 404, but for 408, 425 and 429, which ask for patience; nor with a URL that is none.
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
