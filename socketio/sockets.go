package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"
)

// Len returns the number of sockets that the Emitter stands for, on all nodes. The error names the nodes that did not
// answer.
func (e Emitter) Len(ctx context.Context) (int, error) {
	n := e.namespace
	total := n.localLen(e.audience)
	if e.isLocal() {
		return total, nil
	}
	err := ask(ctx, n.server.cluster, e.message(askLen), func(there int) { total += there })
	return total, err
}

// LocalLen returns the number of this node's sockets that the Emitter stands for.
func (e Emitter) LocalLen() int { return e.namespace.localLen(e.audience) }

func (n *Namespace) localLen(to audience) (total int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if to.rooms == nil && len(to.except) == 0 {
		return len(n.everyone)
	}
	n.eachLocked(to, func(*Socket) { total++ })
	return total
}

// LocalSockets returns an iterator over this node's sockets that the Emitter stands for at the start of the iteration.
func (e Emitter) LocalSockets() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		for _, s := range e.namespace.localSockets(e.audience) {
			if !yield(s) {
				return
			}
		}
	}
}

func (n *Namespace) localSockets(to audience) (all []*Socket) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.eachLocked(to, func(s *Socket) { all = append(all, s) })
	return all
}

// SocketInfo describes a socket on any node.
type SocketInfo struct {
	ID      string                     `json:"id"`
	Rooms   []string                   `json:"rooms"`
	Address string                     `json:"address"`
	Time    time.Time                  `json:"time"`   // when it connected
	Values  map[string]json.RawMessage `json:"values"` // by the names of their Keys; values that encoding/json cannot encode are left out
}

// Sockets describes the sockets that the Emitter stands for, on all nodes. The error names the nodes that did not answer.
func (e Emitter) Sockets(ctx context.Context) ([]SocketInfo, error) {
	n := e.namespace
	all := n.localInfos(e.audience)
	if e.isLocal() {
		return all, nil
	}
	err := ask(ctx, n.server.cluster, e.message(askSockets), func(there []SocketInfo) { all = append(all, there...) })
	return all, err
}

func (n *Namespace) localInfos(to audience) []SocketInfo {
	sockets := n.localSockets(to)
	all := make([]SocketInfo, len(sockets))
	for i, s := range sockets {
		all[i] = SocketInfo{s.id, s.Rooms(), s.conn.session.RealIP(), time.Unix(0, s.began), s.encodeValues()}
	}
	return all
}

// SocketsJoin makes the sockets that the Emitter stands for join the rooms: sockets of this node immediately, those of
// other nodes soon after, but before they receive what this node emits next. The error means that a socket of this node is in
// too many rooms or, with a Journal, that the change was not stored within two seconds. SocketsLeave and DisconnectSockets
// work alike, but only log that.
func (e Emitter) SocketsJoin(rooms ...string) error {
	return e.do(message{Kind: tellJoin, To: rooms})
}

// SocketsLeave makes the sockets that the Emitter stands for leave the rooms.
func (e Emitter) SocketsLeave(rooms ...string) {
	e.namespace.server.cluster.failed(notChanged, e.do(message{Kind: tellLeave, To: rooms}))
}

const notChanged = "sockets may not have left a room, or not have been disconnected"

// DisconnectSockets calls Socket.Disconnect(all) on the sockets that the Emitter stands for. With Recovery, a client that is
// away, or about to come back, is not among them, as in the reference: a Use function, which runs when it comes back unless
// RecoverySkipsUse, can refuse it.
func (e Emitter) DisconnectSockets(all bool) {
	e.namespace.server.cluster.failed(notChanged, e.do(message{Kind: tellDisconnect, All: all}))
}

// do applies a message to this node's sockets, and sends it to the other nodes.
func (e Emitter) do(m message) error {
	n := e.namespace
	if e.audience.isNobody() {
		return nil
	}
	m.Namespace, m.Rooms, m.Except = n.name, e.audience.rooms, e.audience.except
	if e.isLocal() {
		n.journal.waitForOwn(noContext)
		return n.apply(m)
	}
	if n.journal != nil {
		if ok, err := n.changeThroughJournal(m); ok {
			return err
		}
	}
	if m.Kind == tellJoin {
		n.noteJoin(m.To)
	}
	n.server.cluster.tell(n.subject(), m)
	return n.apply(m)
}

// apply applies a message to this node's sockets. It does not wait: the adapter or the journal may have called it.
func (n *Namespace) apply(m message) error {
	var failed error
	sockets := n.localSockets(m.audience())
	for _, s := range sockets {
		switch m.Kind {
		case tellJoin:
			if err := s.join(m.To); !errors.Is(err, ErrClosed) {
				failed = errors.Join(failed, err)
			}
		case tellLeave:
			s.leave(m.To)
		case tellDisconnect:
			s.disconnect(m.All)
		}
	}
	if n.journal != nil && m.Kind != tellDisconnect && len(sockets) > 0 {
		n.server.running.Go(func() {
			for _, s := range sockets {
				s.saveAnd(nil)
			}
		})
	}
	return failed
}

// isLocal reports whether the Emitter stands for sockets of this node only.
func (e Emitter) isLocal() bool {
	return e.local || e.namespace.server.cluster == nil || e.audience.isNobody()
}

func (e Emitter) message(kind string) message {
	return message{Kind: kind, Namespace: e.namespace.name, Rooms: e.audience.rooms, Except: e.audience.except}
}
