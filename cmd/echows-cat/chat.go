package main

import (
	"context"
	"strings"

	"echows/client"
)

// member is a member of a room.
type member struct {
	*client.Chat
}

func (c *cat) joinChat() session {
	o := c.options
	m := &member{}
	made := make(chan struct{})
	before := 0     // messages to come that were there before this member
	joining := true // until the first history has come
	base, room := o.room()
	m.Chat = client.JoinChat(context.Background(), base, room, client.ChatConfig{
		Name:    o.chat,
		Dial:    o.dial,
		Timeout: o.timeout,
		OnHistory: func(h client.History) {
			if joining {
				before += len(h.Messages)
			}
			joining = joining && h.More
			if !h.Complete {
				c.say("there are older messages")
			}
		},
		OnMessage: func(m client.Message) {
			c.received(c.printer.formatPost(m), before == 0)
			before = max(0, before-1)
		},
		OnState: c.state(func() { <-made; m.close() }),
	})
	close(made)
	return m
}

func (m *member) close() { m.Close() }

func (m *member) wait() { <-m.Done() }

// send posts a line, and returns when it is stored.
func (m *member) send(ctx context.Context, line string) error {
	if strings.TrimSpace(line) == "" {
		return nil
	}
	_, err := m.Post(ctx, line)
	return err
}
