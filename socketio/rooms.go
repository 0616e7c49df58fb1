package socketio

import (
	"fmt"
	"maps"
	"slices"
)

// room holds the members of a room. It begins with its first member and ends with its last.
type room struct{ members []*Socket }

// place is a socket's membership in a room.
type place struct {
	index int    // in members
	since uint64 // with recovery: the offset of the last event before it joined
}

// Join makes the socket a member of the rooms. A socket is always a member of its own room, whose name is the socket's id.
// A Use function may call it, too: the socket is a member once it is connected. With a Journal, Join waits until the events
// that this node emitted before were sent, and until the journal has a record of the rooms, each for up to two seconds. The
// error is ErrClosed if the socket has ended; other errors say that Limits.Rooms is reached, or that the journal did not store
// the record, though the socket has joined the rooms.
func (s *Socket) Join(rooms ...string) error {
	s.namespace.journal.waitForOwn(noContext)
	if err := s.join(rooms); err != nil {
		return err
	}
	return s.save()
}

func (s *Socket) join(rooms []string) error {
	s.namespace.mu.Lock()
	defer s.namespace.mu.Unlock()
	return s.namespace.joinLocked(s, rooms)
}

func (n *Namespace) joinLocked(s *Socket, rooms []string) error {
	early := s.state.Load() == connecting // a Use function calls
	if !s.present && !early {
		return ErrClosed
	}
	for _, name := range rooms {
		if _, is := s.rooms[name]; is || name == s.id {
			continue
		}
		if most := n.server.config.Limits.Rooms; len(s.rooms) >= most {
			n.server.counters.reached(limitRooms)
			return fmt.Errorf("socketio: a socket can be in at most %d rooms", most)
		}
		if s.rooms == nil {
			s.rooms = map[string]place{}
		}
		if early {
			s.rooms[name] = place{} // for enterLocked
			continue
		}
		r := n.rooms[name]
		if r == nil {
			r = &room{}
			n.rooms[name] = r
			n.listenLocked(n.roomSubject(name))
		}
		s.rooms[name] = place{len(r.members), n.offsetLocked()}
		r.members = append(r.members, s)
	}
	return nil
}

// enterLocked adds a socket to the rooms that it joined in Use functions and, if it is recovered, to its earlier rooms, with
// the offsets at which it first joined them.
func (n *Namespace) enterLocked(s *Socket) {
	early := s.rooms
	s.rooms = nil
	if s.memory != nil && s.back != nil {
		for _, m := range s.back.rooms {
			if n.joinLocked(s, []string{m.Room}) == nil {
				p := s.rooms[m.Room]
				p.since = m.Since
				s.rooms[m.Room] = p
			}
		}
		n.recovery.giveUpRoomsLocked(s.back)
		s.back = nil
	}
	for name := range early {
		n.joinLocked(s, []string{name}) // fails if it has too many rooms with the earlier ones
	}
}

// Leave removes the socket from the rooms. A socket cannot leave its own room. With a Journal, Leave waits like Join.
func (s *Socket) Leave(rooms ...string) {
	s.namespace.journal.waitForOwn(noContext)
	s.leave(rooms)
	s.save() // logs most errors
}

func (s *Socket) leave(rooms []string) {
	n := s.namespace
	n.mu.Lock()
	defer n.mu.Unlock()
	if !s.present {
		for _, name := range rooms {
			delete(s.rooms, name) // a Use function joined it
		}
		return
	}
	for _, name := range rooms {
		if p, is := s.rooms[name]; is {
			if s.memory != nil {
				s.trail.left(name, p.since, n.offsetLocked())
			}
			n.leaveLocked(s, name)
		}
	}
}

// leaveLocked removes a member from a room.
func (n *Namespace) leaveLocked(s *Socket, name string) {
	r := n.rooms[name]
	i, last := s.rooms[name].index, len(r.members)-1
	moved := r.members[last]
	r.members[i], r.members[last] = moved, nil
	r.members = r.members[:last]
	p := moved.rooms[name]
	p.index = i
	moved.rooms[name] = p
	delete(s.rooms, name)
	if last == 0 {
		delete(n.rooms, name)
		n.unlistenRoomLocked(name)
	}
}

// unlistenRoomLocked stops listening to a room's events, unless it has members, or members who may come back.
func (n *Namespace) unlistenRoomLocked(name string) {
	if n.rooms[name] == nil && (n.recovery == nil || n.recovery.away[name] == 0) {
		n.unlistenLocked(n.roomSubject(name))
	}
}

// In reports whether the socket is in a room.
func (s *Socket) In(room string) bool {
	s.namespace.mu.Lock()
	defer s.namespace.mu.Unlock()
	_, is := s.rooms[room]
	return is || room == s.id
}

// Rooms returns the sorted rooms that the socket is in, or was in when it ended, including its own room.
func (s *Socket) Rooms() []string {
	s.mu.Lock()
	end := s.ending
	s.mu.Unlock()
	if end != nil {
		return slices.Clone(end.rooms)
	}
	s.namespace.mu.Lock()
	defer s.namespace.mu.Unlock()
	return s.roomsLocked()
}

func (s *Socket) roomsLocked() []string {
	rooms := slices.AppendSeq(make([]string, 0, len(s.rooms)+1), maps.Keys(s.rooms))
	rooms = append(rooms, s.id)
	slices.Sort(rooms)
	return rooms
}

// audience selects sockets: those in any of rooms, or all if rooms is nil, except those in any of except. Each socket is in
// the room whose name is its id.
type audience struct {
	rooms  []string
	except []string
}

// size returns about how many bytes the rooms take.
func (a audience) size() (n int) {
	for _, list := range [][]string{a.rooms, a.except} {
		for _, name := range list {
			n += len(name) + 16
		}
	}
	return n
}

// eachLocked calls f once with each socket of this node that is in the audience.
func (n *Namespace) eachLocked(to audience, f func(*Socket)) {
	n.round++ // marks the sockets that have been seen
	for _, name := range to.except {
		n.inLocked(name, func(*Socket) {})
	}
	if to.rooms == nil {
		for _, s := range n.everyone {
			if s.round != n.round {
				f(s)
			}
		}
		return
	}
	for _, name := range to.rooms {
		n.inLocked(name, f)
	}
}

// inLocked calls f with each member of a room that has not been seen in this round.
func (n *Namespace) inLocked(name string, f func(*Socket)) {
	if s := n.sockets[name]; s != nil && s.round != n.round {
		s.round = n.round
		f(s)
	}
	r := n.rooms[name]
	if r == nil {
		return
	}
	for _, s := range r.members {
		if s.round != n.round {
			s.round = n.round
			f(s)
		}
	}
}
