package ws

import (
	"errors"
	"fmt"

	"echows/ws/internal/wire"
)

// CloseCode says why a connection ends (RFC 6455 section 7.4.1 and IANA's registry of close codes).
// An application's own codes are 4000–4999. Its method MayBeSent reports whether a close frame may carry it.
type CloseCode = wire.CloseCode

const (
	CloseNormal          CloseCode = 1000 // the purpose is fulfilled
	CloseGoingAway       CloseCode = 1001 // a page is left, a server goes down
	CloseProtocolError   CloseCode = 1002 // a frame broke RFC 6455
	CloseUnsupportedData CloseCode = 1003 // a kind of message the endpoint does not accept
	CloseNoStatus        CloseCode = 1005 // only reported: the peer's close frame carried no code
	CloseAbnormal        CloseCode = 1006 // only reported: the connection ended without a close frame
	CloseInvalidPayload  CloseCode = 1007 // text that is not UTF-8, or damaged compressed data
	ClosePolicyViolation CloseCode = 1008 // the endpoint's own rules, such as a message that takes too long
	CloseTooBig          CloseCode = 1009 // a message past Config.MaxMessage
	CloseInternalError   CloseCode = 1011 // a callback failed or panicked
	CloseServiceRestart  CloseCode = 1012 // the server restarts: come back
	CloseTryAgainLater   CloseCode = 1013 // overload, or the peer did not read fast enough
)

// CloseError is an error that says how to close. A callback or Handler that returns one, wrapped or not, closes its
// socket with this code and reason; any other error closes it with 1011, unless the client has left.
type CloseError struct {
	Code   CloseCode
	Reason string // UTF-8, at most 123 bytes on the wire; longer ones are truncated
}

func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("ws: close %d", e.Code)
	}
	return fmt.Sprintf("ws: close %d: %s", e.Code, e.Reason)
}

func wireError(e *CloseError) *wire.CloseError {
	return &wire.CloseError{Code: e.Code, Reason: e.Reason}
}

var errBadCloseCode = errors.New("ws: this close code may not be sent; use 1000–1003, 1007–1014 or 3000–4999")
