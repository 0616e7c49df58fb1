package attack

import (
	"context"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"echows/bench/internal/visit"
)

// attacker is a running attack. Its Visitor comes from one address; from returns visitors from others.
type attacker struct {
	*visit.Visitor
	ctx     context.Context
	pace    *visit.Pace // for all its addresses together
	answers visit.Tally // how the server refused
	done    visit.Tally // what the attack achieved
}

// rest is how long a client waits after a refusal.
const rest = 100 * time.Millisecond

// from returns a visitor from another address.
func (a *attacker) from(addr, from string) *visit.Visitor { return visit.New(addr, from, a.pace) }

// each makes a number of clients call f again and again until the attack is over. An error from f counts as a refusal.
func (a *attacker) each(clients int, f func(i int) error) {
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for a.ctx.Err() == nil {
				if err := f(i); err != nil {
					a.refused(err)
					a.wait(rest)
				}
			}
		})
	}
	all.Wait()
}

func (a *attacker) wait(d time.Duration) {
	select {
	case <-a.ctx.Done():
	case <-time.After(d):
	}
}

// refused counts a refusal, unless the attack is nearly over: then everything in progress fails.
func (a *attacker) refused(err error) {
	end, _ := a.ctx.Deadline()
	if err != nil && time.Until(end) > rest {
		a.answers.Add(visit.Describe(err), 1)
	}
}

// with opens a connection that ends with the attack, and lets f use it.
func (a *attacker) with(open func() (*websocket.Conn, error), f func(*websocket.Conn) error) error {
	conn, err := open()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(a.ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	return f(conn)
}

// connected is like with, for Socket.IO connections in no namespace, and entered for connections in "/".
func (a *attacker) connected(f func(*websocket.Conn) error) error {
	return a.with(func() (*websocket.Conn, error) { return a.Connect(a.ctx) }, f)
}

func (a *attacker) entered(f func(*websocket.Conn) error) error {
	return a.with(func() (*websocket.Conn, error) { return a.Enter(a.ctx, "bad") }, f)
}

// opened is like with, for WebSockets.
func (a *attacker) opened(path string, f func(*websocket.Conn) error) error {
	return a.with(func() (*websocket.Conn, error) { return a.Open(a.ctx, path) }, f)
}

// flood writes the messages that next makes, and reads the answers, until an error ends it.
func (a *attacker) flood(conn *websocket.Conn, next func() (kind int, message []byte)) error {
	return a.write(conn, func() error { return conn.WriteMessage(next()) })
}

func (a *attacker) write(conn *websocket.Conn, one func() error) error {
	ended := a.listening(conn)
	for one() == nil {
	}
	conn.SetReadDeadline(time.Now().Add(time.Second)) // for the close frame, which gives the reason
	return <-ended
}

// listening reads and discards messages until the connection ends, and sends the reason.
func (a *attacker) listening(conn *websocket.Conn) <-chan error {
	ended := make(chan error, 1)
	go func() {
		for {
			_, m, err := conn.ReadMessage()
			if err != nil {
				ended <- err
				return
			}
			if len(m) > 2 && m[0] == '4' && m[1] == '4' {
				a.refused(visit.ConnectErrorOf(m))
			}
		}
	}()
	return ended
}

// members connects quiet clients to "/", in addition to the good ones; they only read.
func (a *attacker) members(count int) {
	for range count {
		go a.entered(func(conn *websocket.Conn) error {
			return visit.Listen(conn, func([]byte) bool { return false })
		})
	}
}

// floodPrepared is like flood, but repeats one message.
func (a *attacker) floodPrepared(conn *websocket.Conn, m *websocket.PreparedMessage) error {
	return a.write(conn, func() error { return conn.WritePreparedMessage(m) })
}
