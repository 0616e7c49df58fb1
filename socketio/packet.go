package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is a packet's type, as the protocol numbers it.
type kind byte

const (
	kindConnect kind = iota
	kindDisconnect
	kindEvent
	kindAck
	kindConnectError
	kindBinaryEvent
	kindBinaryAck
)

const (
	maxNamespace = 256       // bytes of a namespace's name
	maxID        = 1<<53 - 1 // of an acknowledgement: the largest integer that JavaScript represents exactly
)

// packet is one Socket.IO packet (protocol revision 5) without its attachments.
type packet struct {
	kind        kind
	namespace   string // begins with /
	id          uint64 // valid if hasID
	hasID       bool
	data        []byte // JSON, or nil
	simple      bool   // isSimple(data)
	attachments int    // how many binary messages follow
}

var (
	errType        = errors.New("a packet is of an unknown type")
	errAttachments = errors.New("a packet does not have the attachments that it needs")
	errAttached    = &limitError{limitAttachments, "a packet has too many attachments"}
	errNamespace   = &limitError{limitNamespaceName, "a packet's namespace is too long"}
	errID          = errors.New("a packet's id is too large")
	errName        = errors.New("an event's name is reserved or missing")
	errPayload     = errors.New("a packet's payload does not match its type")
)

// decode decodes a packet with at most maxAttachments attachments. It accepts only packets that conform to the protocol's
// grammar and to the rules for their type. The packet refers to text.
func decode(text []byte, maxAttachments int) (packet, error) {
	p := packet{namespace: "/"}
	if len(text) == 0 || text[0] < '0' || text[0] > '6' {
		return p, errType
	}
	p.kind = kind(text[0] - '0')
	rest := text[1:]
	if p.kind == kindBinaryEvent || p.kind == kindBinaryAck {
		number, after, ok := bytes.Cut(rest, []byte("-"))
		n, err := strconv.ParseUint(string(number[:min(len(number), 4)]), 10, 8)
		switch {
		case !ok || err != nil || len(number) > 3 || n < 1:
			return p, errAttachments
		case int(n) > maxAttachments:
			return p, errAttached
		}
		p.attachments, rest = int(n), after
	}
	if len(rest) > 0 && rest[0] == '/' {
		name, after, _ := bytes.Cut(rest, []byte(",")) // the comma may be missing at the end
		if len(name) > maxNamespace {
			return p, errNamespace
		}
		p.namespace, rest = string(name), after
	}
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	if digits > 0 {
		id, err := strconv.ParseUint(string(rest[:min(digits, 20)]), 10, 64)
		if err != nil || digits > 16 || id > maxID {
			return p, errID
		}
		p.id, p.hasID, rest = id, true, rest[digits:]
	}
	if len(rest) > 0 {
		p.data = rest
	}
	p.simple = isSimple(p.data)
	return p, p.check()
}

// check checks a packet's payload against its type.
func (p packet) check() error {
	first := byte(0)
	if len(p.data) > 0 {
		if !p.simple && !json.Valid(p.data) {
			return errPayload
		}
		first = p.data[skipSpace(p.data, 0)]
	}
	ok := false
	switch p.kind {
	case kindConnect:
		ok = (p.data == nil || first == '{') && !p.hasID
	case kindDisconnect:
		ok = p.data == nil
	case kindConnectError:
		ok = first == '{' || first == '"'
	case kindEvent, kindBinaryEvent:
		if ok = first == '['; ok && !validName(firstOf(p.data)) {
			return errName
		}
	case kindAck, kindBinaryAck:
		ok = first == '[' && p.hasID
	}
	if !ok {
		return errPayload
	}
	return nil
}

// reserved are the names that an application must not use for events.
var reserved = map[string]bool{
	"connect": true, "connect_error": true, "disconnect": true, "disconnecting": true, "newListener": true, "removeListener": true,
}

// validName reports whether a JSON value can be an event's name.
func validName(raw []byte) bool {
	if name, ok := plainString(raw); ok {
		return !reserved[string(name)]
	}
	var name string
	return json.Unmarshal(raw, &name) == nil && len(raw) > 1 && raw[0] == '"' && !reserved[name]
}

func (p packet) encode() []byte {
	return append(p.appendHead(make([]byte, 0, 32+len(p.namespace)+len(p.data))), p.data...)
}

// appendHead appends the part of a packet before its payload.
func (p packet) appendHead(b []byte) []byte {
	b = append(b, '0'+byte(p.kind))
	if p.attachments > 0 {
		b = append(strconv.AppendInt(b, int64(p.attachments), 10), '-')
	}
	if p.namespace != "/" {
		b = append(append(b, p.namespace...), ',')
	}
	if p.hasID {
		b = strconv.AppendUint(b, p.id, 10)
	}
	return b
}

// binary returns the type of the same packet with attachments.
func (k kind) binary() kind {
	switch k {
	case kindEvent:
		return kindBinaryEvent
	case kindAck:
		return kindBinaryAck
	}
	return k
}

// validNamespace reports whether s can be a namespace's name.
func validNamespace(s string) bool {
	return strings.HasPrefix(s, "/") && len(s) <= maxNamespace && !strings.ContainsAny(s, ",?") && utf8.ValidString(s)
}
