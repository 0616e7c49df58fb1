package socketio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"echows/socketio/engineio"
	"echows/ws"
)

// Emit sends an event to this client. While its connection's outbox is full it waits; see ws.Socket.Send.
func (s *Socket) Emit(event string, args ...any) error {
	if r := s.namespace.recovery; r != nil {
		p, attachments, err := newEvent(s.namespace.name, event, args)
		if err != nil {
			return err
		}
		return s.emitRemembered(r, p, attachments)
	}
	if reserved[event] {
		return errReserved(event)
	}
	return s.write(packet{kind: kindEvent, namespace: s.namespace.name}, event, args)
}

// Broadcast begins an emission to all sockets of the namespace but this one.
func (s *Socket) Broadcast() Emitter {
	e := s.namespace.emitter()
	e.but = s
	return e
}

// To begins an emission to the members of rooms, but this socket.
func (s *Socket) To(rooms ...string) Emitter { return s.Broadcast().To(rooms...) }

// EmitWithAck sends an event and waits for the client's acknowledgement, or for ctx. Not in a callback of
// the same connection, which would keep the answer from being read.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) ([]Arg, error) {
	p, attachments, err := newEvent(s.namespace.name, event, args)
	if err != nil {
		return nil, err
	}
	answer := make(chan []Arg, 1)
	s.mu.Lock()
	switch {
	case s.ended:
		s.mu.Unlock()
		return nil, ErrClosed
	case len(s.acks) >= maxAcks:
		s.mu.Unlock()
		return nil, fmt.Errorf("socketio: the client owes %d acknowledgements", maxAcks)
	}
	s.lastAck++
	p.id, p.hasID = s.lastAck, true
	s.acks[p.id] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.acks, p.id)
	}()
	if err := s.send(p, attachments); err != nil {
		return nil, err
	}
	select {
	case args, ok := <-answer:
		if !ok {
			return nil, ErrClosed
		}
		return args, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("socketio: no acknowledgement of %q: %w", event, ctx.Err())
	}
}

// acked hands an acknowledgement to who waits for it. One that nobody waits for came late, and is ignored.
func (s *Socket) acked(p packet, attachments [][]byte) error {
	s.mu.Lock()
	answer := s.acks[p.id]
	delete(s.acks, p.id)
	s.mu.Unlock()
	if answer == nil {
		return nil
	}
	answer <- decodeArgs(slices.Clone(p.data), attachments)
	return nil
}

// wires are buffers for packets on their way out.
var wires = sync.Pool{New: func() any { return new([]byte) }}

const wireKeep = 16 << 10 // larger ones are left to the garbage collector

// write sends a packet with a payload of an event's name, unless that is "", and arguments. Most have no
// attachments, and are encoded in one go.
func (s *Socket) write(p packet, event string, args []any) error {
	wire := wires.Get().(*[]byte)
	head := p.appendHead(engineio.AppendType((*wire)[:0]))
	b, attachments, err := appendArgs(head, event, args)
	if err == nil && len(attachments) == 0 && s.isConnected() {
		err = s.conn.session.SendTyped(b)
	} else if err == nil {
		p.data = slices.Clone(b[len(head):])
		err = s.send(p, attachments)
	}
	if cap(b) <= wireKeep {
		*wire = b
		wires.Put(wire)
	}
	return err
}

func (s *Socket) isConnected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected && !s.ended
}

// send sends a packet of this socket, or has it wait for the answer to CONNECT.
func (s *Socket) send(p packet, attachments [][]byte) error {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return ErrClosed
	}
	f, err := encodeFrame(p, attachments)
	if err == nil && !s.connected {
		err = s.waitLocked(f)
		s.mu.Unlock()
		return err
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.conn.session.SendPrepared(f)
}

func (s *Socket) waitLocked(f *ws.Prepared) error {
	if s.waitingBytes+f.Len() > maxWaiting {
		return fmt.Errorf("socketio: more than %d bytes wait for a socket to be connected", maxWaiting)
	}
	s.waiting = append(s.waiting, f)
	s.waitingBytes += f.Len()
	return nil
}

// emitRemembered sends an event that is remembered, in the order in which events are, and waits as Emit
// does: what is broadcast meanwhile queues up behind it.
func (s *Socket) emitRemembered(r *recovery, p packet, attachments [][]byte) error {
	s.emitting.Lock()
	defer s.emitting.Unlock()
	var refused error
	err := r.emit(s.namespace.To(s.id), p, attachments, func(f *ws.Prepared) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.ended:
			refused = ErrClosed
		case s.connected:
			s.flushing = true
			s.waiting = append(s.waiting, f)
		default:
			refused = s.waitLocked(f)
		}
	})
	if err != nil || refused != nil {
		return errors.Join(err, refused)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.connected {
		return nil
	}
	err = s.flushLocked()
	s.flushing = false
	return err
}

// flushLocked sends what waits, and what joins it meanwhile; mu is free while it sends.
func (s *Socket) flushLocked() error {
	for len(s.waiting) > 0 && !s.ended {
		frames := s.waiting
		s.waiting, s.waitingBytes = nil, 0
		s.mu.Unlock()
		var err error
		for _, f := range frames {
			if err = s.conn.session.SendPrepared(f); err != nil {
				break
			}
		}
		s.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}
