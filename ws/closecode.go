package ws

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// CloseCode says why a connection ends (RFC 6455 section 7.4.1 and IANA's registry of close codes).
// An application's own codes are 4000–4999.
type CloseCode uint16

const (
	CloseNormal          CloseCode = 1000 // the purpose is fulfilled
	CloseGoingAway       CloseCode = 1001 // a page is left, a server goes down
	CloseProtocolError   CloseCode = 1002 // a frame broke RFC 6455
	CloseUnsupportedData CloseCode = 1003 // a kind of message the endpoint does not take
	CloseNoStatus        CloseCode = 1005 // only reported: the peer's close frame carried no code
	CloseAbnormal        CloseCode = 1006 // only reported: the connection ended without a close frame
	CloseInvalidPayload  CloseCode = 1007 // text that is not UTF-8
	ClosePolicyViolation CloseCode = 1008 // the endpoint's own rules, such as a rate limit
	CloseTooBig          CloseCode = 1009 // a message past Config.MaxMessage
	CloseInternalError   CloseCode = 1011 // a callback failed or panicked
	CloseServiceRestart  CloseCode = 1012 // the server restarts: come back
	CloseTryAgainLater   CloseCode = 1013 // overload: the peer did not read fast enough
)

// mayBeSent reports whether c may stand in a close frame (section 7.4): 1005, 1006 and 1015 are only
// ever reported, 1004 and 1016–2999 mean nothing yet, and below 1000 and above 4999 nothing ever will.
func (c CloseCode) mayBeSent() bool {
	switch {
	case c >= 1000 && c <= 1003, c >= 1007 && c <= 1014, c >= 3000 && c <= 4999:
		return true
	}
	return false
}

// CloseError is an error that says how to close. A callback or handler that returns one, wrapped or
// not, ends its socket with this code and reason; any other error ends it with 1011.
type CloseError struct {
	Code   CloseCode
	Reason string // UTF-8, at most 123 bytes on the wire; longer ones are cut
}

func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("ws: close %d", e.Code)
	}
	return fmt.Sprintf("ws: close %d: %s", e.Code, e.Reason)
}

// maxControl is the most a control frame may carry, in bytes (section 5.5).
const maxControl = 125

var errBadCloseCode = errors.New("ws: this close code may not be sent; use 1000–1003, 1007–1014 or 3000–4999")

// closePayload encodes a close frame's payload (section 5.5.1): the code, then the reason, cut where
// it is too long. CloseNoStatus gives the empty payload.
func closePayload(code CloseCode, reason string) []byte {
	if code == CloseNoStatus {
		return nil
	}
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	for len(reason) > maxControl-2 {
		_, last := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-last]
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// parseClosePayload is its counterpart, with the rules of sections 5.5.1 and 7.4.
func parseClosePayload(p []byte) (CloseCode, string, *CloseError) {
	switch len(p) {
	case 0:
		return CloseNoStatus, "", nil
	case 1:
		return 0, "", errShortClose
	}
	code, reason := CloseCode(binary.BigEndian.Uint16(p)), p[2:]
	if !code.mayBeSent() {
		return 0, "", errForbiddenCode
	}
	if !utf8.Valid(reason) {
		return 0, "", errCloseNotUTF8
	}
	return code, string(reason), nil
}
