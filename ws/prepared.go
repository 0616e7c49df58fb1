package ws

import (
	"iter"

	"echows/ws/internal/conn"
)

// Prepared is a message encoded once, to be sent to many sockets, or several messages that are to stay together. For
// sockets that agreed on compression it is also compressed only once. Any number of goroutines may use it, and keep it.
type Prepared struct{ frames *conn.Prepared }

// Prepare encodes messages. The error says what is wrong with one, as Send's does.
func Prepare(messages ...Message) (*Prepared, error) {
	all := make([]conn.Message, len(messages))
	for i, m := range messages {
		if err := m.check(); err != nil {
			return nil, err
		}
		all[i] = conn.Message{Opcode: m.Opcode, Data: m.Data}
	}
	return &Prepared{conn.Prepare(all)}, nil
}

// Len returns the length of the messages as frames, in bytes and without compression.
func (p *Prepared) Len() int { return p.frames.Len() }

// Log places broadcast messages contiguously in memory, so that several of them can be written to a socket at once
// without copying. Something that broadcasts to the same sockets again and again should have a Log, and offer what Place
// returns. The zero value is ready for use.
type Log struct{ log conn.Log }

// Place returns p for one broadcast.
func (l *Log) Place(p *Prepared) *Prepared { return &Prepared{l.log.Place(p.frames)} }

// Messages ranges over the messages, for a transport that is not a socket. The data is shared: do not change it.
func (p *Prepared) Messages() iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for _, m := range p.frames.Messages() {
			if !yield(Message{m.Opcode, m.Data}) {
				return
			}
		}
	}
}
