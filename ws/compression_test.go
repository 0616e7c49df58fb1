package ws_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// deflated is text as permessage-deflate has it (RFC 7692 section 7.2.1).
func deflated(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// inflated is its counterpart.
func inflated(t testing.TB, data string) string {
	t.Helper()
	text, err := io.ReadAll(flate.NewReader(strings.NewReader(data + "\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const (
	rsv1    = 0x40
	offered = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
)

func TestCompressedFrames(t *testing.T) {
	const limit = 100_000
	_, addr := serve(t, ws.Config{Compression: ws.CompressionOn, MaxMessage: limit}, echoRoute)
	hello, large := deflated(t, "Hello"), deflated(t, strings.Repeat("x", limit))
	for _, c := range []struct {
		name string
		sent string
		want string // one frame, or the beginning of a close frame
	}{
		{"a message", build(0x80|rsv1|opText, hello), "text Hello"},
		{"the RFC's own example (7.2.3.1)", build(0x80|rsv1|opText, "\xf2\x48\xcd\xc9\xc9\x07\x00"), "text Hello"},
		{"a block with its end set (7.2.3.4)", build(0x80|rsv1|opText, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "text Hello"},
		{"two blocks (7.2.3.5)", build(0x80|rsv1|opText, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), "text Hello"},
		{"no compression", build(0x80|rsv1|opText, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "text Hello"},
		{"an empty message", build(0x80|rsv1|opText, "\x00"), "text"},
		{"one that is not compressed", whole(opText, "Hello"), "text Hello"},
		{"fragments", build(rsv1|opText, hello[:2]) + whole(opPing, "p") + whole(opContinuation, hello[2:]), "pong p"},
		{"as long as it may be", build(0x80|rsv1|opBinary, large), "frame"},

		{"a byte more", build(0x80|rsv1|opBinary, deflated(t, strings.Repeat("x", limit+1))), "close 1009"},
		{"a bomb", build(0x80|rsv1|opBinary, deflated(t, strings.Repeat("\x00", 50<<20))), "close 1009"},
		{"damaged data", build(0x80|rsv1|opText, "\xff\xff\xff"), "close 1007"},
		{"data that breaks off", build(0x80|rsv1|opText, large[:20]), "close 1007"},
		{"text that is not UTF-8", build(0x80|rsv1|opText, deflated(t, "a\xff")), "close 1007"},
		{"text that ends within a rune", build(0x80|rsv1|opText, deflated(t, "a\xe2\x82")), "close 1007"},
		{"a compressed ping", build(0x80|rsv1|opPing, ""), "close 1002"},
		{"a continuation with RSV1", build(rsv1|opText, hello[:2]) + build(0x80|rsv1|opContinuation, hello[2:]), "close 1002"},
		{"RSV2", build(0x80|0x20|opText, "x"), "close 1002"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := dial(t, addr, "/echo", offered)
			p.send(c.sent)
			if got := p.next(); !strings.HasPrefix(got, c.want) {
				t.Fatalf("got %.60q, want %q", got, c.want)
			}
			if strings.HasPrefix(c.want, "close") {
				p.expect("end")
				return
			}
			if c.name == "fragments" {
				p.expect("text Hello")
			}
			p.send(whole(opText, "still here"))
			p.expect("text still here")
		})
	}
}

// Long messages come back compressed, each by itself, and short ones as they are; control frames always.
func TestWhatIsCompressed(t *testing.T) {
	_, addr := serve(t, ws.Config{Compression: ws.CompressionOn}, func(e *echo.Echo, app *ws.App) {
		echoRoute(e, app)
		app.WS("/all", func(s *ws.Socket, c echo.Context) error { s.OnMessage(s.Broadcast); return nil })
	})
	long := strings.Repeat("all work and no play ", 100)
	for _, path := range []string{"/echo", "/all"} {
		p := dial(t, addr, path, offered)
		for range 2 {
			p.send(whole(opText, long))
			got := p.frame()
			if got.first != 0x80|rsv1|opText || len(got.payload) > 200 || inflated(t, got.payload) != long {
				t.Errorf("%s: %#x with %d bytes", path, got.first, len(got.payload))
			}
			p.send(whole(opText, long[:100]))
			p.expect("text " + long[:100])
			p.send(whole(opPing, strings.Repeat("p", 125)))
			p.expect("pong " + strings.Repeat("p", 125))
		}
		other := dial(t, addr, path) // which offers nothing
		other.send(whole(opText, long))
		other.expect("text " + long)
	}
}

// The server's answer has what the client asked for.
func TestOffersOfCompression(t *testing.T) {
	_, addr := serve(t, ws.Config{}, func(e *echo.Echo, app *ws.App) {
		app.WSWithConfig("/on", echoBack, ws.RouteConfig{Compression: ws.CompressionOn})
		app.WSWithConfig("/context", echoBack, ws.RouteConfig{Compression: ws.CompressionContext})
		app.WS("/off", echoBack)
	})
	for _, c := range []struct{ path, offer, want string }{
		{"/off", "permessage-deflate", ""},
		{"/on", "permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{"/on", "permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9"},
		{"/on", "x-other, permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8"},
		{"/context", "permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=13"},
		{"/context", "permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"},
	} {
		p := dial(t, addr, c.path, "Sec-WebSocket-Extensions: "+c.offer)
		if got := p.answer.Header.Get("Sec-Websocket-Extensions"); got != c.want {
			t.Errorf("%s, %s: got %q", c.path, c.offer, got)
		}
		if c.want == "" {
			continue
		}
		text := strings.Repeat("windows of every size ", 300) // farther back than a small one reaches
		for range 2 {
			p.send(whole(opText, text))
			got := p.frame()
			if c.path == "/on" && inflated(t, got.payload) != text {
				t.Errorf("%s: came back changed", c.offer)
			}
		}
	}
}

// FuzzInflate: whatever is sent as compressed, the server answers in whole frames or closes.
func FuzzInflate(f *testing.F) {
	for _, seed := range []string{deflated(f, "Hello"), deflated(f, strings.Repeat("x", 1<<16)), "\x00", "", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "\xff"} {
		f.Add([]byte(seed), true)
	}
	_, addr := serve(f, ws.Config{Compression: ws.CompressionOn, MaxMessage: 1 << 16}, echoRoute)
	f.Fuzz(func(t *testing.T, data []byte, text bool) {
		opcode := byte(opBinary)
		if text {
			opcode = opText
		}
		p := dial(t, addr, "/echo", offered)
		p.send(build(0x80|rsv1|opcode, string(data)) + closing(1000, ""))
		got := p.frame()
		switch got.first {
		case 0x80 | opText, 0x80 | opBinary, 0x80 | rsv1 | opText, 0x80 | rsv1 | opBinary:
			if got = p.frame(); got.first != 0x80|opClose {
				t.Fatalf("then %#x", got.first)
			}
		case 0x80 | opClose:
		default:
			t.Fatalf("got %#x", got.first)
		}
	})
}

// A peer that keeps the context, as browsers do, inflates each message with what was inflated before: nothing else is
// part of it, neither short messages, nor what was broadcast compressed by itself.
func TestContextOfMixedMessages(t *testing.T) {
	sockets := make(chan *ws.Socket, 1)
	_, addr := serve(t, ws.Config{Compression: ws.CompressionContext}, func(e *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error { sockets <- s; return nil })
	})
	for _, offer := range []string{"", "; server_max_window_bits=13", "; server_max_window_bits=9", "; server_no_context_takeover"} {
		p := dial(t, addr, "/", "Sec-WebSocket-Extensions: permessage-deflate"+offer)
		s := wait(t, sockets)
		var window []byte
		smaller := 0
		for n := range 60 {
			text := fmt.Sprint(strings.Repeat(fmt.Sprint(n*n, " message of many words, "), 1+n*7%80), strings.Repeat("x", n*13%50))
			m := ws.Message{Opcode: ws.Text, Data: []byte(text)}
			if n%5 == 4 {
				prepared, err := ws.Prepare(m)
				if err != nil {
					t.Fatal(err)
				}
				s.Offer(prepared)
			} else if err := s.Send(m); err != nil {
				t.Fatal(err)
			}
			f := p.frame()
			if f.first&rsv1 == 0 {
				if f.payload != text {
					t.Fatalf("%q: message %d came changed", offer, n)
				}
				continue
			}
			got, err := io.ReadAll(flate.NewReaderDict(strings.NewReader(f.payload+"\x00\x00\xff\xff\x01\x00\x00\xff\xff"), window))
			if err != nil || string(got) != text {
				t.Fatalf("%q: message %d: %v", offer, n, err)
			}
			if offer != "; server_no_context_takeover" {
				window = append(window, got...)
				window = window[max(len(window)-32<<10, 0):]
			}
			if len(text) < 500 {
				smaller++
			}
		}
		if got := smaller > 0; got != (offer == "" || strings.HasSuffix(offer, "13")) {
			t.Errorf("%q: %d short messages were compressed", offer, smaller)
		}
	}
}

// The frame behind a compressed one in the same read is as it was.
func TestFramesBehindACompressedOne(t *testing.T) {
	_, addr := serve(t, ws.Config{Compression: ws.CompressionOn}, echoRoute)
	p := dial(t, addr, "/echo", offered)
	p.send(build(0x80|rsv1|opText, deflated(t, "one")) + whole(opText, "two, which is not compressed") + build(0x80|rsv1|opText, deflated(t, "three")))
	p.expect("text one", "text two, which is not compressed", "text three")
}
