package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"echows/ws"
)

// lone is a Chat without a connection: a test is the server.
type lone struct {
	*Chat
	t    *testing.T
	over chan struct{}
	out  chan string // ids that were sent
}

func alone(t *testing.T, cfg ChatConfig) *lone {
	cfg.random = atOnce
	c := &lone{newChat("lobby", cfg), t, make(chan struct{}), make(chan string, 2*mostPosts)}
	go c.run(c.over)
	return c
}

// send takes what the Chat sends.
func (c *lone) sendTo(m ws.Message) error {
	var p struct{ Type, ID, Text string }
	if err := json.Unmarshal(m.Data, &p); err != nil || p.Type != "post" || p.Text != "text of "+p.ID {
		c.t.Errorf("sent %s", m.Data)
	}
	c.out <- p.ID
	return nil
}

// says is the server's.
func (c *lone) says(format string, args ...any) {
	c.receive(ws.Message{Opcode: ws.Text, Data: fmt.Appendf(nil, format, args...)})
}

// end ends the Chat as its Conn would.
func (c *lone) end() {
	c.changed(StateClosed, 0, errors.New("the end"))
	close(c.over)
	<-c.done
}

// posting posts in the background; the result comes as "SEQ ERROR".
func (c *lone) posting(ctx context.Context, id string) <-chan string {
	result := make(chan string, 1)
	go func() {
		seq, err := c.PostID(ctx, id, "text of "+id)
		result <- fmt.Sprint(seq, " ", err)
	}()
	synctest.Wait()
	return result
}

// expectSent looks at what has been sent since the last look.
func (c *lone) expectSent(want ...string) {
	c.t.Helper()
	synctest.Wait()
	var got []string
	for len(c.out) > 0 {
		got = append(got, <-c.out)
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("sent %v, want %v", got, want)
	}
}

func (c *lone) expect(result <-chan string, want string) {
	c.t.Helper()
	synctest.Wait()
	select {
	case got := <-result:
		if got != want {
			c.t.Errorf("a post came to %q, want %q", got, want)
		}
	default:
		c.t.Errorf("a post is not answered; want %q", want)
	}
}
