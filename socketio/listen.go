package socketio

import (
	"errors"
	"fmt"
	"slices"
)

// Event is an event from a client. A listener may keep it after it returns.
type Event struct {
	Name   string
	Socket *Socket
	Args   []Arg
	ack    *pendingAck // nil if the client did not ask for one
}

// listeners are the functions that a socket calls. Each list is replaced, never modified. Most sockets have only a few
// listeners for events, and there are many sockets; to save memory, the other lists are in rareListeners.
type listeners struct {
	named      []*listener // in the order in which they were added
	disconnect []func(reason string)
	*rareListeners
}

// rareListeners are listeners that few sockets have.
type rareListeners struct {
	use       []func(Event) error
	any       []*listener
	unhandled func(Event) error
	outgoing  []func(event string, args []any)
}

// listener is a function for events with one name. Its address identifies it.
type listener struct {
	event string
	f     func(Event) error
	once  bool
}

// noListeners is shared by the sockets that have no rare listeners.
var noListeners = &rareListeners{}

// rareLocked returns a new copy of the socket's rare listeners, which the caller may modify.
func (s *Socket) rareLocked() *rareListeners {
	if s.listeners.rareListeners == noListeners {
		s.listeners.rareListeners = &rareListeners{}
	} else {
		s.listeners.rareListeners = new(*s.listeners.rareListeners) // call may be using the old one
	}
	return s.listeners.rareListeners
}

// On adds a listener for events with that name, and returns a function that removes it. The listeners of an event are
// called in the order in which they were added. If one returns an error, the remaining ones are not called: after an
// ErrArguments or a *Refusal, the client receives an event "error"; ErrClosed is ignored; any other error closes the
// connection. On panics if no client can send an event of that name, such as "disconnect" (see OnDisconnect).
func (s *Socket) On(event string, f func(Event) error) (off func()) {
	return s.listen(&listener{event: event, f: f})
}

// Once is like On, but the listener is called only for the next event with that name.
func (s *Socket) Once(event string, f func(Event) error) (off func()) {
	return s.listen(&listener{event: event, f: f, once: true})
}

func (s *Socket) listen(l *listener) (off func()) {
	if reserved[l.event] {
		panic(fmt.Sprintf("socketio: no client can send the event %q; for the end of a socket, use OnDisconnect", l.event))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners.named = append(slices.Clip(s.listeners.named), l)
	return func() { s.unlisten(l) }
}

// unlisten removes a listener, and reports whether it was there.
func (s *Socket) unlisten(l *listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.listeners.named)
	s.listeners.named = without(s.listeners.named, l)
	return len(s.listeners.named) < before
}

func without(list []*listener, l *listener) []*listener {
	return slices.DeleteFunc(slices.Clone(list), func(other *listener) bool { return other == l })
}

// Off removes all listeners of the named events, or of all events if none is named.
func (s *Socket) Off(events ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners.named = slices.DeleteFunc(slices.Clone(s.listeners.named), func(l *listener) bool {
		return len(events) == 0 || slices.Contains(events, l.event)
	})
}

// OnAny adds a listener that is called with every event, before the Use functions and the listeners of its name. It returns a
// function that removes the listener.
func (s *Socket) OnAny(f func(Event) error) (off func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &listener{f: f}
	rare := s.rareLocked()
	rare.any = append(slices.Clip(rare.any), l)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		rare := s.rareLocked()
		rare.any = without(rare.any, l)
	}
}

// OnUnhandled sets a function that is called with events that have no listener for their name.
func (s *Socket) OnUnhandled(f func(Event) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rareLocked().unhandled = f
}

// OnAnyOutgoing adds a function that is called with each event sent to this socket, whether to it alone or to several
// sockets. The arguments are the caller's, or Args if the event came from another node or a Journal. The function must not
// block, nor call Join, Leave, Disconnect or their like on an Emitter, nor Emit of another Socket (To(id).Emit does not wait):
// with a Journal, these would wait for the function.
func (s *Socket) OnAnyOutgoing(f func(event string, args []any)) {
	s.mu.Lock()
	rare := s.rareLocked()
	first := len(rare.outgoing) == 0
	rare.outgoing = append(slices.Clip(rare.outgoing), f)
	s.mu.Unlock()
	if first {
		s.namespace.watched.Add(1) // permanently: OnAnyOutgoing is for debugging
	}
}

// Use adds a function that is called with each event before its listeners. If it returns an error, the listeners are not
// called, and the error has the same effect as an error of a listener. To send the client a message, return a *Refusal.
func (s *Socket) Use(f func(Event) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rare := s.rareLocked()
	rare.use = append(slices.Clip(rare.use), f)
}

// On adds a listener for events with one argument, which is decoded into v. If the client omits the argument, v is the zero
// value.
func On[T any](s *Socket, event string, f func(e Event, v T) error) (off func()) {
	return s.On(event, func(e Event) error {
		var v T
		if err := e.Decode(&v); err != nil {
			return err
		}
		return f(e, v)
	})
}

// On2 is like On, for two arguments.
func On2[T, U any](s *Socket, event string, f func(e Event, v T, w U) error) (off func()) {
	return s.On(event, func(e Event) error {
		var v T
		var w U
		if err := e.Decode(&v, &w); err != nil {
			return err
		}
		return f(e, v, w)
	})
}

// On3 is like On, for three arguments.
func On3[T, U, V any](s *Socket, event string, f func(e Event, v T, w U, x V) error) (off func()) {
	return s.On(event, func(e Event) error {
		var v T
		var w U
		var x V
		if err := e.Decode(&v, &w, &x); err != nil {
			return err
		}
		return f(e, v, w, x)
	})
}

// Arg returns the argument with index i, counted from 0. An argument that the client left out is null.
func (e Event) Arg(i int) Arg { return argOf(e.Args, i) }

func argOf(args []Arg, i int) Arg {
	if i < 0 || i >= len(args) {
		return Arg{raw: []byte("null")}
	}
	return args[i]
}

// Decode decodes the arguments, in order, into the pointers. Surplus pointers are left alone, and surplus arguments are
// ignored. The error wraps ErrArguments.
func (e Event) Decode(to ...any) error {
	for i, v := range to[:min(len(to), len(e.Args))] {
		if err := e.Args[i].Decode(v); err != nil {
			return named(err, fmt.Sprintf("argument %d of %s", i+1, quoted(e.Name)))
		}
	}
	return nil
}

// dispatch calls the listeners of an event.
func (s *Socket) dispatch(p packet, attachments [][]byte) error {
	name, args, err := decodeEvent(slices.Clone(p.data), attachments, s.namespace.server.config.Limits.Arguments)
	if err != nil {
		return err
	}
	s.namespace.server.counters.received.of(s, 1)
	e := Event{Socket: s, Args: args}
	if p.hasID {
		e.ack = &pendingAck{id: p.id}
	}
	s.mu.Lock()
	l := s.listeners
	s.mu.Unlock()
	if e.Name, err = l.name(name); err != nil {
		return err // never: packet.check has checked the name
	}
	return s.failed(e, s.call(l, e))
}

// name returns an event's name. If there is a listener for it, name returns the listener's string, which saves a copy.
func (l *listeners) name(arg Arg) (name string, err error) {
	if text, ok := plainString(arg.raw); ok {
		for _, one := range l.named {
			if one.event == string(text) {
				return one.event, nil
			}
		}
	}
	err = arg.Decode(&name)
	return name, err
}

// call calls the OnAny functions with an event, then the Use functions, and then its listeners.
func (s *Socket) call(l listeners, e Event) error {
	for _, one := range l.any {
		if err := one.f(e); err != nil {
			return err
		}
	}
	for _, f := range l.use {
		if err := f(e); err != nil {
			return err
		}
	}
	handled := false
	for _, one := range l.named {
		if one.event != e.Name || one.once && !s.unlisten(one) {
			continue
		}
		handled = true
		if err := one.f(e); err != nil {
			return err
		}
	}
	if !handled && l.unhandled != nil {
		return l.unhandled(e)
	}
	return nil
}

// failed handles the error of an event's listener. If failed returns an error, the connection ends.
func (s *Socket) failed(e Event, err error) error {
	var refused *Refusal
	switch {
	case err == nil || errors.Is(err, ErrClosed): // the client has left
		return nil
	case errors.As(err, &refused):
		s.complain(e, err)
		return s.tell(map[string]any{"event": e.Name, "message": refused.Message, "data": refused.Data})
	case errors.Is(err, ErrArguments):
		err = named(err, "an argument of "+quoted(e.Name))
		s.complain(e, err)
		return s.tell(map[string]any{"event": e.Name, "message": err.Error()})
	case s.hasLeft(err):
		return nil
	}
	s.log().Error("an event's listener failed", "event", shortened(e.Name), "error", err)
	return err
}

func (s *Socket) complain(e Event, err error) {
	if leftOut, ok := s.namespace.server.refusedEvents.OK(); ok {
		s.log().Info("an event was refused", append([]any{"event", shortened(e.Name), "error", err}, leftOut...)...)
	}
}

// tell emits an event "error". Recovery does not keep it: one client's mistakes would push out events that others missed.
func (s *Socket) tell(what any) error {
	p, attachments, err := newEvent(s.namespace, "error", []any{what})
	if err == nil {
		err = s.emit(p, attachments, false)
	}
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}
