package exercise

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"echows/ws"
)

// pupil is a connection to the server, and the packets that come from it.
type pupil struct {
	*ws.Socket
	t    *testing.T
	came chan string
}

// open returns a connection that has asked for the namespace, and the server's answer to that.
func open(t *testing.T, url, auth string) (p *pupil, answer string) {
	t.Helper()
	p = &pupil{t: t, came: make(chan string, 10)}
	var err error
	p.Socket, err = ws.Dial(t.Context(), url+"/socket.io/?EIO=4&transport=websocket", ws.DialConfig{}, func(s *ws.Socket) error {
		s.OnMessage(func(m ws.Message) error { p.came <- m.Text(); return nil })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(ws.CloseNormal, "") })
	p.next() // 0{"sid":…
	p.SendText("40/class," + auth)
	return p, p.next()
}

// enter returns a connection to the namespace.
func enter(t *testing.T, url, name string) *pupil {
	t.Helper()
	p, answer := open(t, url, `{"name":"`+name+`"}`)
	if !strings.HasPrefix(answer, `40/class,{"sid":`) {
		t.Fatalf("connecting as %s is answered with %s", name, answer)
	}
	return p
}

func (p *pupil) next() string {
	p.t.Helper()
	select {
	case packet := <-p.came:
		return packet
	case <-time.After(10 * time.Second):
		p.t.Fatal("no packet comes")
		return ""
	}
}

// wants fails the test if the next packet is another one.
func (p *pupil) wants(want string) {
	p.t.Helper()
	if got := p.next(); got != want {
		p.t.Fatalf("got %s, want %s", got, want)
	}
}

func serve(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(New())
	t.Cleanup(server.Close)
	return server.URL
}

func TestNoName(t *testing.T) {
	_, answer := open(t, serve(t), "")
	if want := `44/class,{"message":"who are you?"}`; answer != want {
		t.Errorf("got %s, want %s", answer, want)
	}
}

func TestHands(t *testing.T) {
	url := serve(t)
	ana, bob := enter(t, url, "ana"), enter(t, url, "bob")
	ana.SendText(`42/class,1["raise"]`)
	ana.wants(`43/class,1[1]`)
	bob.wants(`42/class,["raised","ana"]`)
	bob.SendText(`42/class,1["raise"]`)
	bob.wants(`43/class,1[2]`)
	ana.wants(`42/class,["raised","bob"]`)
	ana.SendText(`42/class,2["lower"]`)
	ana.wants(`43/class,2[]`)
	ana.SendText(`42/class,3["raise"]`)
	ana.wants(`43/class,3[2]`)
}

func TestHint(t *testing.T) {
	url := serve(t)
	ana, bob, eva := enter(t, url, "ana"), enter(t, url, "bob"), enter(t, url, "eva")
	ana.SendText(`42/class,1["raise"]`)
	ana.wants(`43/class,1[1]`)
	bob.wants(`42/class,["raised","ana"]`)
	eva.wants(`42/class,["raised","ana"]`)
	eva.SendText(`42/class,["hint","think of a number"]`)
	ana.wants(`42/class,["hint","eva","think of a number"]`)
	bob.SendText(`42/class,2["lower"]`) // bob has no hand up, and has heard nothing: this answer is next
	bob.wants(`43/class,2[]`)
}
