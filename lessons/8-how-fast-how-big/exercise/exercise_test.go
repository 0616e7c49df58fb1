package exercise

import (
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"echows/ws"
)

// news counts how often it is made into JSON.
type news struct{ made atomic.Int32 }

func (n *news) MarshalJSON() ([]byte, error) {
	n.made.Add(1)
	return []byte(`{"news":"tea is ready"}`), nil
}

// enter opens a socket to the room, and returns what comes to it after the welcome.
func enter(t *testing.T, url string) <-chan string {
	t.Helper()
	came := make(chan string, 10)
	socket, err := ws.Dial(t.Context(), url+"/room", ws.DialConfig{}, func(s *ws.Socket) error {
		s.OnMessage(func(m ws.Message) error { came <- m.Text(); return nil })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close(ws.CloseNormal, "") })
	wants(t, came, "welcome")
	return came
}

func wants(t *testing.T, came <-chan string, want string) {
	t.Helper()
	select {
	case got := <-came:
		if got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("nothing comes, want %s", want)
	}
}

func TestOnce(t *testing.T) {
	e, room := New()
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	var members []<-chan string
	for range 50 {
		members = append(members, enter(t, server.URL))
	}

	var n news
	if err := room.Tell(&n); err != nil {
		t.Fatal(err)
	}
	for _, came := range members {
		wants(t, came, `{"news":"tea is ready"}`)
	}
	if made := n.made.Load(); made != 1 {
		t.Errorf("for %d members the news was made into JSON %d times, want once", len(members), made)
	}
}

func TestNoJSON(t *testing.T) {
	_, room := New()
	if err := room.Tell(make(chan int)); err == nil {
		t.Error("a channel cannot be made into JSON, but Tell returns no error")
	}
}
