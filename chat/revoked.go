package chat

import (
	"sync"

	"echows/broker"
	"echows/ws"
)

// endedBytes bounds, on disk, the sessions that were ended within the last twelve hours: half a million, of 66 bytes
// each. One address can end 43,300 in that time (see LimitSignOuts). When the set is full, sign-outs are refused with 503
// until the oldest sessions have expired: forgetting one earlier would make it valid again. Users who are refused stay
// signed in, and may try again; nothing else depends on the set.
const endedBytes = 32 << 20

// endedSessions configures the set: it keeps a session for as long as its token could still be valid.
func (c *Chat) endedSessions() broker.SetConfig {
	return broker.SetConfig{Name: "ended", MaxAge: sessionTime, MaxBytes: endedBytes, Added: c.endSession}
}

// endSession closes the connections of a session that was ended on this or another node.
func (c *Chat) endSession(id string) {
	for _, s := range c.online.of(id) {
		s.Close(ws.ClosePolicyViolation, signedOut)
	}
}

// Why a session's connections are closed.
const (
	signedOut   = "signed out"
	sessionOver = "the session has expired"
)

// online holds this node's connections, by session.
type online struct {
	mu      sync.Mutex
	sockets map[string]map[*ws.Socket]struct{}
}

func (o *online) add(session string, s *ws.Socket) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sockets == nil {
		o.sockets = map[string]map[*ws.Socket]struct{}{}
	}
	if o.sockets[session] == nil {
		o.sockets[session] = map[*ws.Socket]struct{}{}
	}
	o.sockets[session][s] = struct{}{}
}

func (o *online) remove(session string, s *ws.Socket) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if delete(o.sockets[session], s); len(o.sockets[session]) == 0 {
		delete(o.sockets, session)
	}
}

func (o *online) of(session string) []*ws.Socket {
	o.mu.Lock()
	defer o.mu.Unlock()
	sockets := make([]*ws.Socket, 0, len(o.sockets[session]))
	for s := range o.sockets[session] {
		sockets = append(sockets, s)
	}
	return sockets
}
