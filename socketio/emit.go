package socketio

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"echows/socketio/engineio"
	"echows/ws"
)

// Emit sends an event to this client. It blocks while the client's queue is full (the App's Config.SendBuffer, or the
// engine's MaxQueue). So a listener that emits a lot delays only its own client. To emit to another client without
// blocking, use To(id).Emit. The error is ErrClosed, or says what is wrong with the arguments.
func (s *Socket) Emit(event string, args ...any) error {
	if s.namespace.recovery == nil && s.namespace.watched.Load() == 0 {
		if err := checkName(event); err != nil {
			return err
		}
		return s.write(packet{kind: kindEvent, namespace: s.namespace.name}, event, args)
	}
	p, attachments, err := newEvent(s.namespace, event, args)
	if err != nil {
		return err
	}
	if err := s.emit(p, attachments, true); err != nil {
		return err
	}
	if s.namespace.journal == nil { // otherwise the journal notifies
		s.notify(event, slices.Clone(args)) // a clone, so that args need not escape on the fast path above
	}
	return nil
}

// emit sends an event. If recovery is on, events are sent in the order in which recovery keeps them.
func (s *Socket) emit(p packet, attachments [][]byte, remember bool) error {
	n := s.namespace
	if n.recovery == nil {
		return s.send(p, attachments)
	}
	s.emitting.Lock() // so that nobody else takes the room that WaitForRoom found
	defer s.emitting.Unlock()
	if !s.Connected() {
		return ErrClosed
	}
	if err := s.conn.session.WaitForRoom(noContext); err != nil {
		return err
	}
	e := emission{audience: audience{rooms: []string{s.id}}, packet: p, attachments: attachments, forgotten: !remember, local: true}
	if n.journal != nil && remember {
		return s.emitThroughJournal(e)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !s.present {
		return ErrClosed
	}
	return n.emitLocked(e)
}

// Broadcast returns an Emitter for all sockets of the namespace except this one.
func (s *Socket) Broadcast() Emitter { return s.namespace.Except(s.id) }

// To returns an Emitter for the members of the rooms, except this socket.
func (s *Socket) To(rooms ...string) Emitter { return s.Broadcast().To(rooms...) }

// Volatile returns an Emitter for this socket that drops its events if the socket's queue is not empty.
func (s *Socket) Volatile() Emitter { return s.namespace.To(s.id).Volatile() }

// Emitter emits to some or all of a namespace's sockets. It is a value: To, In, Except, Volatile and Local return a new
// Emitter.
type Emitter struct {
	namespace *Namespace
	audience  audience
	volatile  bool
	local     bool
}

// To adds rooms. The Emitter then stands for their members, each once. With an empty list of rooms, it stands for no
// sockets, not for all.
func (e Emitter) To(rooms ...string) Emitter {
	to := make([]string, 0, len(e.audience.rooms)+len(rooms)) // never nil, unlike the result of slices.Concat
	e.audience.rooms = append(append(to, e.audience.rooms...), rooms...)
	return e
}

// In is the same as To.
func (e Emitter) In(rooms ...string) Emitter { return e.To(rooms...) }

// Except excludes the members of the rooms.
func (e Emitter) Except(rooms ...string) Emitter {
	e.audience.except = slices.Concat(e.audience.except, rooms)
	return e
}

// Volatile drops the event for each socket whose queue is not empty. It is meant for events that the next one replaces,
// such as positions. Recovery does not repeat them.
func (e Emitter) Volatile() Emitter {
	e.volatile = true
	return e
}

// Local excludes the sockets of other nodes.
func (e Emitter) Local() Emitter {
	e.local = true
	return e
}

// Emit sends the event to the sockets, including those of other nodes. It does not wait for clients: it disconnects one whose
// queue is full because it does not read or poll. With a Journal that is behind, it may wait for a second. The error says what
// is wrong with the arguments, or is an ErrTooLarge. If other nodes cannot be reached, the failure is logged and counted.
func (e Emitter) Emit(event string, args ...any) error {
	n := e.namespace
	if n.isPattern {
		var all error
		for _, child := range n.server.children(n) {
			e.namespace = child
			all = errors.Join(all, e.Emit(event, args...))
		}
		return all
	}
	p, attachments, err := newEvent(n, event, args)
	if err != nil || e.audience.isNobody() {
		return err
	}
	watching, err := n.emit(emission{audience: e.audience, packet: p, attachments: attachments, volatile: e.volatile, local: e.local})
	for _, s := range watching {
		s.notify(event, slices.Clone(args))
	}
	return err
}

func (a audience) isNobody() bool { return a.rooms != nil && len(a.rooms) == 0 }

// emission is an event for an audience.
type emission struct {
	audience
	packet      packet
	attachments [][]byte
	volatile    bool            // skips sockets whose queue is not empty
	forgotten   bool            // not repeated to sockets that come back
	hole        bool            // sockets cannot come back to a point before it
	local       bool            // not for other nodes
	seq         uint64          // of an event from the journal
	old         bool            // the journal delivers it again: it is kept, not sent
	watching    *[]*Socket      // if not nil, collects the sockets that receive it
	notify      func([]*Socket) // for EmitWithAck: called with those that receive it, if any socket has an OnAnyOutgoing function
}

// emit sends an event to an audience. It returns the sockets that received it, if any socket has an OnAnyOutgoing function.
func (n *Namespace) emit(e emission) (watching []*Socket, err error) {
	if n.journal != nil && !e.volatile && !e.local {
		return n.journal.emit(e, nil)
	}
	if n.watched.Load() > 0 {
		e.watching = &watching
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return watching, n.emitLocked(e)
}

func (n *Namespace) emitLocked(e emission) error {
	if !e.local {
		n.publishLocked(e)
	}
	e.forgotten = e.forgotten || n.journal != nil && e.seq == 0
	offset := uint64(0)
	p := e.packet
	if r := n.recovery; r != nil {
		offset = r.nextLocked(e)
		p = p.withOffset(r.epoch, offset)
	}
	f, err := encodeFrame(p, e.attachments)
	if err != nil {
		return err
	}
	if n.recovery != nil && !e.volatile && !e.forgotten {
		n.recovery.rememberLocked(offset, e.audience, f)
	}
	if !e.old {
		n.deliverLocked(e, offset, f)
	}
	return nil
}

// deliverLocked sends a frame to this node's sockets.
func (n *Namespace) deliverLocked(e emission, offset uint64, f *ws.Prepared) {
	if len(e.rooms) != 1 || n.rooms[e.rooms[0]] != nil {
		f = n.placed.Place(f)
	}
	sent := 0
	n.eachLocked(e.audience, func(s *Socket) {
		if !e.volatile {
			s.conn.session.Offer(f)
		} else if !s.conn.session.TrySend(f) {
			return
		}
		sent++
		if s.memory != nil {
			s.trail.unkept = e.hole || s.trail.unkept && offset == s.trail.sent
			s.trail.sent = offset
		}
		if e.watching != nil {
			*e.watching = append(*e.watching, s)
		}
	})
	n.server.counters.sent.many(sent)
}

// notify calls the OnAnyOutgoing functions.
func (s *Socket) notify(event string, args []any) {
	s.mu.Lock()
	outgoing := s.listeners.outgoing
	s.mu.Unlock()
	for _, f := range outgoing {
		f(event, args)
	}
}

// wires are buffers for outgoing packets.
var wires = sync.Pool{New: func() any { return new([]byte) }}

const wireKeep = 16 << 10 // larger ones are left to the garbage collector

// write sends a packet whose payload is an event's name, unless it is "", and arguments. Most packets have no attachments,
// and are encoded in one pass.
func (s *Socket) write(p packet, event string, args []any) error {
	if !s.Connected() {
		return ErrClosed
	}
	wire := wires.Get().(*[]byte)
	head := p.appendHead(engineio.AppendType((*wire)[:0]))
	b, attachments, err := appendArgs(head, event, args)
	if err == nil && len(attachments) == 0 {
		err = s.sent(p, s.conn.session.SendTyped(b))
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

// send sends a packet with attachments to this socket's client.
func (s *Socket) send(p packet, attachments [][]byte) error {
	if most := s.namespace.server.config.Limits.Attachments; len(attachments) > most {
		return errBinaryValues(len(attachments), most)
	}
	f, err := encodeFrame(p, attachments)
	if err != nil {
		return err
	}
	if !s.Connected() {
		return ErrClosed
	}
	return s.sent(p, s.conn.session.SendPrepared(f))
}

// sent counts an event if err is nil, and returns err.
func (s *Socket) sent(p packet, err error) error {
	if err == nil && p.kind == kindEvent {
		s.namespace.server.counters.sent.of(s, 1)
	}
	return err
}

// newEvent makes an event's packet and its attachments.
func newEvent(n *Namespace, event string, args []any) (packet, [][]byte, error) {
	if err := checkName(event); err != nil {
		return packet{}, nil, err
	}
	data, attachments, err := appendArgs(nil, event, args)
	if most := n.server.config.Limits.Attachments; err == nil && len(attachments) > most {
		err = errBinaryValues(len(attachments), most)
	}
	return packet{kind: kindEvent, namespace: n.name, data: data}, attachments, err
}

// checkName reports why an event cannot have a name.
func checkName(event string) error {
	switch {
	case event == "":
		return errors.New("socketio: an event needs a name")
	case reserved[event]:
		return fmt.Errorf("socketio: %q is a reserved event name", event)
	}
	return nil
}

func errBinaryValues(n, most int) error {
	return fmt.Errorf("socketio: %d binary values in one packet; the maximum is %d (Limits.Attachments)", n, most)
}

// encodeFrame encodes a packet and its attachments as messages that are sent without anything between them.
func encodeFrame(p packet, attachments [][]byte) (*ws.Prepared, error) {
	if p.attachments = len(attachments); p.attachments > 0 {
		p.kind = p.kind.binary()
	}
	messages := make([]ws.Message, 1, 1+len(attachments))
	messages[0] = ws.Message{Opcode: ws.Text, Data: p.encode()}
	for _, data := range attachments {
		messages = append(messages, ws.Message{Opcode: ws.Binary, Data: data})
	}
	return engineio.Prepare(messages...)
}

// disconnectFrame tells a client that its socket has ended.
func disconnectFrame(namespace string) *ws.Prepared {
	f, err := encodeFrame(packet{kind: kindDisconnect, namespace: namespace}, nil)
	if err != nil { // a namespace's name is text
		panic(err)
	}
	return f
}
