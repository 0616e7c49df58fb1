package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/gorilla/websocket"
)

// The first lesson's routes that answer their client only.

const (
	echoClients  = 6
	replyClients = 2
	echoPause    = 50 * time.Millisecond
	oneStay      = 100 // messages of one connection
)

// sizes are the sizes of echoed messages, in bytes, used in turn.
var sizes = []int{1, 64, 125, 126, 1000, 4096, 16_000}

const answer = `{"append":true,"returnText":"I am using websockets!"}`

func (c *company) lessonOne() {
	k := c.kind("`/ws/echo`", echoClients)
	for i := range echoClients {
		c.exchange(k, 2, i, "/ws/echo", func(n int) (message, want []byte) {
			message = fmt.Appendf(nil, "%d %d ", i, n)
			size := max(len(message), sizes[n%len(sizes)])
			message = append(message, bytes.Repeat([]byte{'a' + byte(n%26)}, size-len(message))...)
			return message, message
		})
	}
	k = c.kind("`/ws`", replyClients)
	for i := range replyClients {
		c.exchange(k, 3, i, "/ws", func(n int) (message, want []byte) { return fmt.Append(nil, "hello ", n), []byte(answer) })
	}
}

// exchange makes a client send messages, and wait for the answer to each, on one connection after the other.
func (c *company) exchange(k *kind, group, i int, path string, next func(n int) (message, want []byte)) {
	v, n := c.from(group, i), 0
	c.all.Go(func() {
		defer v.Close()
		c.again(c.enough, k, func() error {
			return c.use(func() (*websocket.Conn, error) { return v.Open(c.ctx, path) }, func(conn *websocket.Conn) error {
				for range oneStay {
					if c.enough.Err() != nil {
						return nil
					}
					n++
					message, want := next(n)
					if err := k.trip(conn, 1+n%2, message, want); err != nil {
						if c.ctx.Err() == nil {
							k.loses(1, "no answer")
						}
						return err
					}
					sleep(c.enough, echoPause)
				}
				return nil
			})
		})
	})
}

// trip sends a message, text or binary, and reads the answer.
func (k *kind) trip(conn *websocket.Conn, opcode int, message, want []byte) error {
	conn.SetReadDeadline(time.Now().Add(answerTime))
	conn.SetWriteDeadline(time.Now().Add(answerTime))
	k.sent.Add(1)
	if err := conn.WriteMessage(opcode, message); err != nil {
		return err
	}
	_, got, err := conn.ReadMessage()
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes were answered with %.100q", len(message), got)
	}
	k.heard.Add(1)
	return nil
}
