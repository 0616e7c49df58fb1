package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Deflate is what two peers agreed on for permessage-deflate (RFC 7692 section 7.1).
type Deflate struct {
	// ServerNoContext and ClientNoContext say that the server, or the client, compresses each message
	// independently, so that neither side has to remember earlier ones.
	ServerNoContext, ClientNoContext bool
	// ServerBits and ClientBits are the base-2 logarithm of the window that each compresses with: 8–15.
	ServerBits, ClientBits int
}

// DeflatePolicy is what one side wants of permessage-deflate.
type DeflatePolicy struct {
	// Context lets both sides refer to earlier messages, if the peer agrees.
	Context bool
	// Bits bounds the peer's window, if the peer can be asked: 8–15.
	Bits int
}

const (
	extension       = "permessage-deflate"
	serverNoContext = "server_no_context_takeover"
	clientNoContext = "client_no_context_takeover"
	serverBits      = "server_max_window_bits"
	clientBits      = "client_max_window_bits"
)

// errExtensions is for a header that does not follow the grammar of RFC 6455 section 9.1.
var errExtensions = errors.New("Sec-WebSocket-Extensions is malformed")

// Accept checks a client's offers in order (RFC 7692 section 5.1), and returns the first that can be accepted,
// and the header's value to answer with, or "" if there is none. The error says that the header is malformed.
func (p DeflatePolicy) Accept(header []string) (d Deflate, answer string, err error) {
	offers, err := parseExtensions(header)
	if err != nil {
		return d, "", err
	}
	for _, offer := range offers {
		if d, answer, ok := p.accept(offer); ok {
			return d, answer, nil
		}
	}
	return Deflate{}, "", nil
}

// accept checks one offer (section 7.1). A server may ask for less memory than the client offered.
func (p DeflatePolicy) accept(offer offered) (d Deflate, answer string, ok bool) {
	given, err := offer.deflate()
	if err != nil {
		return d, "", false
	}
	d = Deflate{
		ServerNoContext: given.ServerNoContext || !p.Context,
		ClientNoContext: given.ClientNoContext || !p.Context,
		ServerBits:      given.ServerBits,
		ClientBits:      15,
	}
	parts := []string{extension}
	if d.ServerNoContext {
		parts = append(parts, serverNoContext)
	}
	if d.ClientNoContext {
		parts = append(parts, clientNoContext)
	}
	if offer.has(serverBits) {
		parts = append(parts, fmt.Sprintf("%s=%d", serverBits, d.ServerBits))
	}
	// "If a received extension negotiation offer doesn't have the client_max_window_bits extension
	// parameter, the corresponding extension negotiation response … MUST NOT include" it (7.1.2.2).
	if offer.has(clientBits) {
		if d.ClientBits = min(given.ClientBits, p.bits()); d.ClientBits < 15 {
			parts = append(parts, fmt.Sprintf("%s=%d", clientBits, d.ClientBits))
		}
	}
	return d, strings.Join(parts, "; "), true
}

// bits returns how large a peer's window may be. It matters only if the window outlives a message.
func (p DeflatePolicy) bits() int {
	if !p.Context || p.Bits == 0 {
		return 15
	}
	return p.Bits
}

// Offer returns the header's value that a client sends.
func (p DeflatePolicy) Offer() string {
	if !p.Context {
		return extension + "; " + serverNoContext + "; " + clientNoContext
	}
	offer := extension + "; " + clientBits
	if p.bits() < 15 {
		offer += fmt.Sprintf("; %s=%d", serverBits, p.bits())
	}
	return offer
}

// Agree reads a server's answer to Offer; ok is false if the server did not accept. An answer that the offer does
// not allow is an error, and fails the connection (RFC 7692 section 5.1).
func (p DeflatePolicy) Agree(header []string) (d Deflate, ok bool, err error) {
	answers, err := parseExtensions(header)
	if err != nil || len(answers) == 0 {
		return d, false, err
	}
	if len(answers) > 1 {
		return d, false, errors.New("the server accepted more than one extension")
	}
	if d, err = answers[0].deflate(); err != nil {
		return d, false, fmt.Errorf("the server's extension: %w", err)
	}
	switch { // compared with Offer
	case answers[0].lacks(clientBits): // "MUST include a value" (7.1.2.2): only an offer may leave it out
		return d, false, errors.New("the server's extension: client_max_window_bits has an invalid value")
	case answers[0].has(clientBits) && !p.Context:
		return d, false, errors.New("the server's extension has client_max_window_bits, which was not offered")
	case !p.Context && !d.ServerNoContext:
		return d, false, errors.New("the server's extension lacks server_no_context_takeover")
	case d.ServerBits > p.bits():
		return d, false, errors.New("the server's extension lacks server_max_window_bits")
	}
	d.ClientNoContext = d.ClientNoContext || !p.Context
	return d, true, nil
}

// offered is one extension of the header, with its parameters in order.
type offered struct {
	name   string
	params []param
}

type param struct {
	name, value string
	hasValue    bool
}

func (o offered) has(name string) bool {
	for _, p := range o.params {
		if p.name == name {
			return true
		}
	}
	return false
}

// lacks reports whether the parameter is there but has no value.
func (o offered) lacks(name string) bool {
	for _, p := range o.params {
		if p.name == name && !p.hasValue {
			return true
		}
	}
	return false
}

// deflate reads the parameters of permessage-deflate (section 7.1). A parameter that is unknown, appears twice or has an
// invalid value is an error: such an offer is declined, and such an answer fails the connection.
func (o offered) deflate() (Deflate, error) {
	d := Deflate{ServerBits: 15, ClientBits: 15}
	if o.name != extension {
		return d, fmt.Errorf("unknown extension %q", o.name)
	}
	seen := map[string]bool{}
	for _, p := range o.params {
		if seen[p.name] {
			return d, fmt.Errorf("%s appears twice", p.name)
		}
		seen[p.name] = true
		ok := true
		switch p.name {
		case serverNoContext:
			d.ServerNoContext, ok = true, !p.hasValue
		case clientNoContext:
			d.ClientNoContext, ok = true, !p.hasValue
		case serverBits:
			d.ServerBits, ok = windowBits(p.value)
		case clientBits:
			if p.hasValue { // an offer may leave it out
				d.ClientBits, ok = windowBits(p.value)
			}
		default:
			return d, fmt.Errorf("unknown parameter %q", p.name)
		}
		if !ok {
			return d, fmt.Errorf("%s has an invalid value", p.name)
		}
	}
	return d, nil
}

// windowBits reads "a decimal integer value without leading zeroes between 8 to 15, inclusive" (7.1.2.1).
func windowBits(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 8 && n <= 15 && s == strconv.Itoa(n)
}

// parseExtensions reads Sec-WebSocket-Extensions (RFC 6455 section 9.1). Elements of the list may be empty
// (RFC 9110 section 5.6.1.2):
//
//	name; param; param=token; param="token", name …
func parseExtensions(header []string) ([]offered, error) {
	var all []offered
	for _, rest := range header {
		for {
			rest = strings.TrimLeft(rest, " \t,")
			if rest == "" {
				break
			}
			one, left, ok := parseExtension(rest)
			if !ok || left != "" && left[0] != ',' {
				return nil, errExtensions
			}
			all = append(all, one)
			rest = left
		}
	}
	return all, nil
}

func parseExtension(s string) (one offered, rest string, ok bool) {
	one.name, rest, ok = token(s)
	for ok && strings.HasPrefix(rest, ";") {
		var p param
		if p, rest, ok = parseParam(rest[1:]); ok {
			one.params = append(one.params, p)
		}
	}
	return one, rest, ok
}

func parseParam(s string) (p param, rest string, ok bool) {
	if p.name, rest, ok = token(s); !ok || !strings.HasPrefix(rest, "=") {
		return p, rest, ok
	}
	p.hasValue = true
	value := strings.TrimLeft(rest[1:], " \t")
	if strings.HasPrefix(value, `"`) {
		p.value, rest, ok = quoted(value[1:])
	} else {
		p.value, rest, ok = token(value)
	}
	return p, rest, ok
}

// quoted takes a quoted string, without its first quotation mark, off the front of s. "When using the
// quoted-string syntax variant, the value after quoted-string unescaping MUST conform to the 'token' ABNF."
func quoted(s string) (value, rest string, ok bool) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return value, strings.TrimLeft(s[i+1:], " \t"), value != ""
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		if !isTokenByte(s[i]) {
			break
		}
		value += s[i : i+1]
	}
	return "", "", false
}

// token takes a token, with the white space around it, off the front of s.
func token(s string) (t, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	n := 0
	for n < len(s) && isTokenByte(s[n]) {
		n++
	}
	return s[:n], strings.TrimLeft(s[n:], " \t"), n > 0
}

// isTokenByte reports whether b is a tchar (RFC 9110 section 5.6.2).
func isTokenByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}
