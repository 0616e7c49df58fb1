package ws

import (
	"iter"

	"echows/ws/internal/conn"
)

// Prepared is a message encoded once, to be sent to many sockets, or several messages that are to stay
// together. Where sockets agreed on compression it is compressed once, too. It may be used by any number of
// goroutines, and kept.
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

// Len is how many bytes the messages have as frames, without compression.
func (p *Prepared) Len() int { return p.frames.Len() }

// Log places what is broadcast one behind the other in memory, so that nothing is copied for each socket. A
// broadcaster that sends to the same sockets again and again has one, and offers what Place returns. The zero value
// is ready for use.
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
