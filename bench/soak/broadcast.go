package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"echows/bench/internal/visit"
)

// The first lesson's /ws/broadcast: each message reaches all members, and so do the attackers'.

const (
	broadcasters   = 5
	broadcastPause = 100 * time.Millisecond
)

func (c *company) broadcast() {
	group := newChoir(c.kind("`/ws/broadcast`", broadcasters), "a message", broadcasters)
	c.gather(group, broadcastPause, func(m *member) error { return c.listen(c.from(4, m.place), m) },
		func(m *member, n int64) error { return m.out.say(fmt.Sprintf("good %d %d", m.place, n)) })
}

// gather makes each member of a group reconnect whenever listen returns, and speak.
func (c *company) gather(group *choir, pause time.Duration, listen func(*member) error, say func(m *member, n int64) error) {
	var speaking sync.WaitGroup
	for _, m := range group.members {
		c.all.Go(func() {
			c.again(c.ctx, group.kind, func() error { return listen(m) })
		})
		speaking.Go(func() { m.speak(c.enough, pause, func(n int64) error { return say(m, n) }) })
	}
	c.ends = append(c.ends, func() {
		speaking.Wait()
		group.finish(c.ctx)
	})
}

// listen is one connection to /ws/broadcast.
func (c *company) listen(v *visit.Visitor, m *member) error {
	defer v.Close()
	conn, err := v.Open(c.ctx, "/ws/broadcast")
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(c.ctx, func() { conn.Close() })()
	m.out.set(func(text string) error {
		conn.SetWriteDeadline(time.Now().Add(answerTime))
		return conn.WriteMessage(websocket.TextMessage, []byte(text))
	})
	defer m.out.set(nil)
	m.begins()
	m.comes()
	for {
		conn.SetReadDeadline(time.Now().Add(answerTime)) // others speak all the time
		_, r, err := conn.NextReader()
		if err != nil {
			return err
		}
		begin := make([]byte, 64) // attackers' messages are longer, and need not be held
		size, err := io.ReadFull(r, begin)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
		var from int
		var n int64
		if _, err := fmt.Sscanf(string(begin[:size]), "good %d %d", &from, &n); err == nil {
			m.hears(from, n)
		}
	}
}
