package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"echows/ws"
)

// A client may send a long message in fragments: the first has the opcode, and only the last has FIN.
func TestAFragmentedMessageArrivesAsTwo(t *testing.T) {
	address, _ := serveXNet(t)
	x := open(t, address)
	x.send(text, "Hel")
	x.send(fin|continuation, "lo")
	x.wants("text Hel", "text lo") // two messages, of one

	address = serveWS(t, ws.Config{})
	w := open(t, address)
	w.send(text, "Hel")
	w.send(fin|continuation, "lo")
	w.wants("text Hello")
}

// The side that closes a connection says why, and the other side repeats the code, so that both know that it was no accident.
func TestACloseCodeIsLost(t *testing.T) {
	const enough = "\x0f\xa0enough" // 4000

	address, _ := serveXNet(t)
	x := open(t, address)
	x.send(fin|closing, enough)
	x.wants("the end") // a browser calls this 1006, an accident

	address = serveWS(t, ws.Config{})
	w := open(t, address)
	w.send(fin|closing, enough)
	w.wants("close 4000", "the end")
}

// Text that is not UTF-8 makes every browser that gets it close. So one client can end the connections of all.
func TestBadTextReachesEveryone(t *testing.T) {
	address, _ := serveXNet(t)
	good, bad := open(t, address), open(t, address)
	good.send(fin|text, "I am here")
	good.wants("text I am here")
	bad.send(fin|text, "\xff")
	good.wants("text \xff")

	address = serveWS(t, ws.Config{})
	good, bad = open(t, address), open(t, address)
	bad.send(fin|text, "\xff")
	bad.wants("close 1007") // the one who sent it goes
	good.send(fin|text, "all is well")
	good.wants("text all is well")
}

// A browser sends the Origin of the page that connects. A server that does not check it serves foreign pages, with the cookies
// of the people who look at these.
func TestAForeignPageGetsIn(t *testing.T) {
	address, _ := serveXNet(t)
	if _, status := shake(t, address, "http://evil.example"); status != http.StatusSwitchingProtocols {
		t.Errorf("x/net answers a foreign page %d", status)
	}
	address = serveWS(t, ws.Config{})
	if _, status := shake(t, address, "http://evil.example"); status != http.StatusForbidden {
		t.Errorf("ws answers a foreign page %d", status)
	}
}

// A laptop that is closed sends nothing more, not even a close frame. Without pings nobody asks, and the connection stays for ever.
func TestTheDeadStay(t *testing.T) {
	address, r := serveXNet(t)
	x := open(t, address)
	x.send(fin|text, "my last words") // and is silent from here on
	x.wants("text my last words")

	address = serveWS(t, ws.Config{PingInterval: 50 * time.Millisecond})
	dead := open(t, address)
	dead.wants("ping", "ping") // and answers none
	last := "ping"
	for last == "ping" {
		last = dead.next(patience)
	}
	if last != "the end" {
		t.Errorf("ws says %q", last)
	}
	if n := r.len(); n != 1 { // in all this time
		t.Errorf("x/net keeps %d connections", n)
	}
}

func (r *room) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)
}

// When a client does not read, the buffers between it and the server fill up. Then the server's write waits, while it holds the lock
// that all need.
func TestASlowReaderStopsEveryone(t *testing.T) {
	const most = 300 // messages of 60 KiB: more than what all buffers on the way hold
	long := strings.Repeat("a", 60<<10)

	address, _ := serveXNet(t)
	slow, good := open(t, address), open(t, address)
	stopped := false
	for i := 0; i < most && !stopped; i++ {
		good.send(fin|text, long)
		stopped = good.next(time.Second) == "nothing"
	}
	if !stopped {
		t.Fatal("x/net's chat goes on")
	}
	go io.Copy(io.Discard, slow.conn) // ends with the connection; now that the slow one reads, the others go on
	good.wants("text " + long)

	address = serveWS(t, ws.Config{PingInterval: time.Hour})
	open(t, address) // never reads
	good = open(t, address)
	for range most {
		good.send(fin|text, long)
		good.wants("text " + long)
	}
}
