package wire

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"
)

// CloseCode says why a connection ends (RFC 6455 section 7.4.1 and IANA's registry of close codes).
type CloseCode uint16

// The codes that this package and conn use; package ws lists all.
const (
	Normal          CloseCode = 1000
	ProtocolError   CloseCode = 1002
	NoStatus        CloseCode = 1005 // only reported
	Abnormal        CloseCode = 1006 // only reported
	InvalidPayload  CloseCode = 1007
	PolicyViolation CloseCode = 1008
	TooBig          CloseCode = 1009
	InternalError   CloseCode = 1011
	TryAgainLater   CloseCode = 1013
)

// MayBeSent reports whether a close frame may carry c (section 7.4): 1005, 1006 and 1015 are only ever
// reported, 1004 and 1016–2999 are reserved, and codes below 1000 and above 4999 do not exist.
func (c CloseCode) MayBeSent() bool {
	switch {
	case c >= 1000 && c <= 1003, c >= 1007 && c <= 1014, c >= 3000 && c <= 4999:
		return true
	}
	return false
}

// CloseError is a code and a reason to close with.
type CloseError struct {
	Code   CloseCode
	Reason string
}

func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("ws: close %d", e.Code)
	}
	return fmt.Sprintf("ws: close %d: %s", e.Code, e.Reason)
}

// AppendClose appends a close frame's payload (section 5.5.1): the code, then the reason, truncated to 123
// bytes. NoStatus gives the empty payload.
func AppendClose(dst []byte, code CloseCode, reason string) []byte {
	if code == NoStatus {
		return dst
	}
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	for len(reason) > MaxControl-2 {
		_, last := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-last]
	}
	return append(binary.BigEndian.AppendUint16(dst, uint16(code)), reason...)
}

// ParseClose reads a close frame's payload, by the rules of sections 5.5.1 and 7.4.
func ParseClose(p []byte) (CloseCode, string, *CloseError) {
	switch len(p) {
	case 0:
		return NoStatus, "", nil
	case 1:
		return 0, "", errShortClose
	}
	code, reason := CloseCode(binary.BigEndian.Uint16(p)), p[2:]
	if !code.MayBeSent() {
		return 0, "", errForbiddenCode
	}
	if !utf8.Valid(reason) {
		return 0, "", errCloseNotUTF8
	}
	return code, string(reason), nil
}
