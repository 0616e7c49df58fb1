package socketio

import (
	"encoding/json"
	"errors"

	"echows/ws"
)

// OnDisconnect adds a function to be called, once, when the socket has ended, with the reason in the words
// of the reference: "transport close", "ping timeout", "client namespace disconnect" and so on. It is not
// called for a socket that OnConnect's functions refuse.
func (s *Socket) OnDisconnect(f func(reason string)) {
	s.mu.Lock()
	if !s.ended || !s.opened {
		s.onDisconnect = append(s.onDisconnect, f)
		s.mu.Unlock()
		return
	}
	reason := s.reason
	s.mu.Unlock()
	f(reason)
}

// open answers CONNECT, and sends what waited for that. A socket that ended meanwhile, or was told to, ends
// for its callbacks only now.
func (s *Socket) open() error {
	data, err := json.Marshal(struct {
		SID string `json:"sid"`
		PID string `json:"pid,omitempty"`
	}{s.id, s.private})
	if err != nil {
		return err
	}
	s.conn.send(packet{kind: kindConnect, namespace: s.namespace.name, data: data})
	s.mu.Lock()
	s.opened = true
	if err := s.flushLocked(); err != nil && !errors.Is(err, ErrClosed) {
		s.mu.Unlock()
		return err
	}
	s.connected = true
	ended, reason, leaving, all := s.ended, s.reason, s.leaving, s.leavingAll
	var late []func(string)
	if ended {
		late, s.onDisconnect = s.onDisconnect, nil
	}
	s.mu.Unlock()
	for _, f := range late {
		f(reason)
	}
	if leaving && !ended {
		s.Disconnect(all)
	}
	return nil
}

// Disconnect ends the socket: the client is told, and does not come back by itself. The connection stays
// for its other namespaces, unless all is set.
func (s *Socket) Disconnect(all bool) {
	s.mu.Lock()
	if !s.connected && !s.ended {
		s.leaving, s.leavingAll = true, s.leavingAll || all
		s.mu.Unlock()
		return // open sees to it
	}
	s.mu.Unlock()
	sockets := []*Socket{s}
	if all {
		s.conn.mu.Lock()
		for _, other := range s.conn.sockets {
			if other != s {
				sockets = append(sockets, other)
			}
		}
		s.conn.mu.Unlock()
	}
	for _, one := range sockets {
		one.send(packet{kind: kindDisconnect, namespace: one.namespace.name}, nil) // fails where it has ended
		s.conn.remove(one)
		one.end(serverDisconnect)
	}
	if all {
		s.conn.session.Close()
	}
}

// end takes the socket out of its namespace and rooms, and calls who wants to know.
func (s *Socket) end(reason string) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended, s.reason = true, reason
	for _, answer := range s.acks {
		close(answer)
	}
	clear(s.acks)
	s.waiting = nil
	n, comesBack := s.namespace, s.connected || s.recovered
	onClose := s.onClose
	var onDisconnect []func(string)
	if s.opened {
		onDisconnect, s.onDisconnect = s.onDisconnect, nil
	}
	s.onClose = nil
	s.mu.Unlock()
	if n.recovery != nil && comesBack {
		n.recovery.keep(s, reason)
	}
	for _, f := range onClose { // the hub's: it leaves all rooms
		f(ws.CloseNormal, reason)
	}
	n.mu.Lock()
	if n.sockets[s.id] == s {
		delete(n.sockets, s.id)
	}
	n.mu.Unlock()
	n.server.release(n)
	for _, f := range onDisconnect {
		f(reason)
	}
}
