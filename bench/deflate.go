package main

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"
	"time"
)

// offer asks for compression without context takeover, so that one prepared frame serves all connections.
const offer = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"

// accepted reports whether a server's answer to the offer makes each reply inflate independently. The client
// may always compress that way.
func accepted(answer string) bool {
	return strings.HasPrefix(answer, "permessage-deflate") && strings.Contains(answer, "server_no_context_takeover")
}

// document is what is compressed, 1 KiB.
const document = `[
{"seq":4711,"id":"m-8f3a","from":"ana","text":"Has anybody seen the new timetable yet?","at":"2026-03-02T17:04:11Z"},
{"seq":4712,"id":"m-1c90","from":"bruno","text":"Yes, it hangs next to platform two.","at":"2026-03-02T17:04:26Z"},
{"seq":4713,"id":"m-77de","from":"chiara","text":"The 18:20 goes from seven now, hurry!","at":"2026-03-02T17:05:02Z"},
{"seq":4714,"id":"m-b241","from":"ana","text":"Thank you, I would have missed it.","at":"2026-03-02T17:05:40Z"},
{"seq":4715,"id":"m-09ab","from":"dmitri","text":"Can someone keep me a seat?","at":"2026-03-02T17:06:13Z"},
{"seq":4716,"id":"m-e5f8","from":"bruno","text":"Third coach, by the window, blue coat.","at":"2026-03-02T17:06:58Z"},
{"seq":4717,"id":"m-4d16","from":"elif","text":"It is full already; take the next one.","at":"2026-03-02T17:07:21Z"},
{"seq":4718,"id":"m-c37e","from":"chiara","text":"Coffee at the corner until then?","at":"2026-03-02T17:07:45Z"},
{"seq":4719,"id":"m-6b02","from":"dmitri","text":"Gladly. On me.","at":"2026-03-02T17:08:03Z"}
]`

// tail is what RFC 7692, section 7.2.1, removes from each message.
const tail = "\x00\x00\xff\xff"

// deflated is a client's frame with the document.
func deflated() []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err == nil {
		_, err = io.WriteString(w, document)
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		log.Fatal(err)
	}
	return frame(text|packed, bytes.TrimSuffix(b.Bytes(), []byte(tail)))
}

// receiveDeflated reads one compressed message, which may be fragmented. Each client inflates its first;
// for the others it only checks the length, which is cheap.
func (c *client) receiveDeflated() error {
	c.whole = c.whole[:0]
	for begin := byte(text | packed); ; begin = final {
		first, n, err := c.header()
		if err == nil && first|final != begin {
			err = fmt.Errorf("got a frame that begins with %#x", first)
		}
		var part []byte
		if err == nil {
			part, err = c.payload(n)
		}
		if err != nil {
			return err
		}
		c.whole = append(c.whole, part...)
		if first&final != 0 {
			break
		}
	}
	if n := len(c.whole); n == 0 || n >= len(document) {
		return fmt.Errorf("got %d bytes for a document of %d", n, len(document))
	}
	if c.seen {
		return nil
	}
	c.seen = true
	return inflate(c.whole)
}

var errInflated = errors.New("what was inflated is not the document")

// inflate checks the content of a message.
func inflate(message []byte) error {
	last := "\x01\x00\x00\xff\xff" // an empty final block, for the reader
	all := io.MultiReader(bytes.NewReader(message), strings.NewReader(tail+last))
	b, err := io.ReadAll(flate.NewReader(all))
	if err == nil && string(b) != document {
		err = errInflated
	}
	return err
}

func deflateEchoes(p *process, length time.Duration) result {
	clients := make([]*client, 50)
	for i := range clients {
		clients[i] = connect(p, "/echo", 64<<10)
	}
	return exchange(p, length, clients, deflated(), 1, (*client).receiveDeflated)
}

func deflateBroadcast(p *process, length time.Duration) result {
	clients := make([]*client, audience)
	for i := range clients {
		clients[i] = connect(p, "/broadcast", 8<<10)
	}
	return stream(p, length, clients, deflated(), 64, func(c *client) (int, error) { return 1, c.receiveDeflated() })
}
