package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"echows/internal/natstest"
	"echows/internal/porttest"
	"echows/internal/programtest"
)

// guest is a visitor of /rooms that speaks the protocol directly.
type guest struct {
	t    *testing.T
	conn *websocket.Conn
	sid  string
	pid  string
}

// visit connects to the namespace "/" with a name and further JSON fields in auth.
func visit(t *testing.T, p *programtest.Program, name, auth string) *guest {
	t.Helper()
	g := &guest{t: t, conn: programtest.Dial(t, p.URL, "/socket.io/?EIO=4&transport=websocket")}
	programtest.Receive(t, g.conn) // the session's open packet
	g.send(fmt.Sprintf(`40{"name":%q%s}`, name, auth))
	var answer struct{ SID, PID string }
	if text := g.next(); !strings.HasPrefix(text, "40") || json.Unmarshal([]byte(text[2:]), &answer) != nil {
		t.Fatalf("CONNECT is answered with %s", text)
	}
	g.sid, g.pid = answer.SID, answer.PID
	return g
}

func (g *guest) send(text string) {
	g.t.Helper()
	if err := websocket.Message.Send(g.conn, text); err != nil {
		g.t.Fatal(err)
	}
}

// next returns the next packet that is not a ping.
func (g *guest) next() string {
	g.t.Helper()
	for {
		text := programtest.Receive(g.t, g.conn)
		if text != "2" {
			return text
		}
		g.send("3")
	}
}

// await reads packets until one contains part.
func (g *guest) await(part string) string {
	g.t.Helper()
	for {
		if text := g.next(); strings.Contains(text, part) {
			return text
		}
	}
}

// tellRoom says something in the kitchen until another guest hears it: her node may listen to the room a moment after she has
// joined. What is said to everyone arrives in any case, and later.
func (g *guest) tellRoom(other *guest, name string) {
	g.t.Helper()
	deadline, again := time.After(programtest.Patience), time.NewTicker(100*time.Millisecond) // within a visitor's limit
	defer again.Stop()
	want := fmt.Sprintf(`42["room message",{"from":%q,"room":"kitchen","text":"to some"}]`, name)
	for {
		g.send(`42["room message",{"room":"kitchen","text":"to some"}]`)
		g.send(`42["message",{"text":"to everyone"}]`)
		if other.await(fmt.Sprintf(`"from":%q`, name)) == want {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			g.t.Fatalf("what %s says in the room is not heard", name)
		}
	}
}

func TestTwoNodesAreOneSocketIO(t *testing.T) {
	t.Parallel()
	one, two := twoNodes(t)
	ana := visit(t, one, "ana", "")
	ana.await(`["stats",{"clients":1}]`)
	bea := visit(t, two, "bea", "")
	ana.await(`["announcements",{"text":"“bea” joined"}]`)
	ana.await(`["stats",{"clients":2}]`)
	bea.send(`421["join",{"room":"kitchen"}]`)
	bea.await(`431[{"ok":true,"rooms":["kitchen"]}]`)
	ana.send(`422["join",{"room":"kitchen"}]`)
	ana.await(`432[{"ok":true`)
	ana.send(`42["message",{"text":"to all"}]`)
	bea.await(`["message",{"from":"ana","text":"to all"}]`)
	bea.tellRoom(ana, "bea")
	ana.tellRoom(bea, "ana")
	two.End()
	ana.await(`["stats",{"clients":1}]`)
}

func TestTwoNodesAreOneBroadcast(t *testing.T) {
	t.Parallel()
	one, two := twoNodes(t)
	here, there := programtest.Dial(t, one.URL, "/ws/broadcast"), programtest.Dial(t, two.URL, "/ws/broadcast")
	await := func(conn *websocket.Conn, want string) {
		for programtest.Receive(t, conn) != want {
		}
	}
	for _, conn := range []*websocket.Conn{here, there} { // a connection that hears itself is a member
		fmt.Fprint(conn, conn.LocalAddr())
		await(conn, fmt.Sprint(conn.LocalAddr()))
	}
	largest := strings.Repeat("x", 1<<20) // with what nodes add, more than a NATS server takes at once
	websocket.Message.Send(here, "text")
	websocket.Message.Send(here, []byte{0, 255})
	websocket.Message.Send(here, largest)
	for _, conn := range []*websocket.Conn{here, there} {
		await(conn, "text")
		await(conn, "\x00\xff") // the other's address may come in between
		await(conn, largest)
	}
}

// A client reconnects to another node, which sends it the events that it missed, and then new ones.
func TestAClientComesBackToAnotherNode(t *testing.T) {
	t.Parallel()
	one, two := twoNodes(t, "-recovery", "1m")
	stays, leaves := visit(t, one, "ana", ""), visit(t, two, "bea", "")
	for _, g := range []*guest{stays, leaves} {
		g.send(`421["join",{"room":"kitchen"}]`)
		g.await(`431[{"ok":true`)
	}
	say := func(text string) {
		stays.send(fmt.Sprintf(`42["room message",{"room":"kitchen","text":%q}]`, text))
	}
	say("heard")
	last := leaves.await(`"text":"heard"`)
	offset := last[strings.LastIndex(last[:len(last)-2], `"`)+1 : len(last)-2]
	leaves.conn.Close()
	say("missed 1")
	say("missed 2")
	stays.await(`"text":"missed 2"`)
	back := visit(t, one, "bea", fmt.Sprintf(`,"pid":%q,"offset":%q`, leaves.pid, offset))
	if back.sid != leaves.sid {
		t.Errorf("bea was %s and is %s", leaves.sid, back.sid)
	}
	say("live")
	for _, want := range []string{"missed 1", "missed 2", "live"} {
		if got := back.await(`"room message"`); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestWebSocketsOnly(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-websocket-only")
	res, err := http.Get(p.URL + "/socket.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "Transport unknown") {
		t.Errorf("polling gets %s: %s", res.Status, body)
	}
	visit(t, p, "ana", "").await(`["stats",{"clients":1}]`)
}

// The program waits for a cluster that is started later, logs that it waits, and can be stopped.
func TestNATSIsWaitedFor(t *testing.T) {
	t.Parallel()
	p := programtest.Launch(t, "-nats", "nats://me:secret@127.0.0.1:1,nats://127.0.0.1:2")
	p.Log.Find(t, "waiting for NATS at nats://me:xxxxx@127.0.0.1:1,nats://127.0.0.1:2")
	if text := p.Log.String(); !strings.Contains(text, "connection refused") || strings.Contains(text, "secret@") {
		t.Errorf("the log:\n%s", text)
	}
	p.End()
}

// Everything that the program opens waits for NATS, which is started last.
func TestNATSIsStartedLast(t *testing.T) {
	t.Parallel()
	port := porttest.Reserve(t, 1)[0]
	p := programtest.Launch(t, "-nats", fmt.Sprint("nats://127.0.0.1:", port), "-recovery", "1m", "-secret", "0123456789abcdef")
	p.Log.Find(t, "waiting for NATS")
	natstest.JetStream(t, t.TempDir(), port)
	p.URL = p.Log.Find(t, "open=")
	if res, body := programtest.Get(t, p.URL+"/readyz"); res.StatusCode != http.StatusOK {
		t.Errorf("not ready: %s", body)
	}
	p.End() // before its NATS server
}
