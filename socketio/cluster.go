package socketio

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// cluster connects a Server's namespaces to its Adapter: it sends messages to other nodes, and receives messages from them.
//
// A goroutine tells the adapter which subjects to listen to, because namespaces must not wait for the adapter. For each
// subject, the last request counts.
type cluster struct {
	server  *Server
	adapter Adapter
	node    string

	soon  chan struct{} // holds a value when wanted has changed
	again chan struct{} // holds a value when refresh should save all sockets now
	end   chan struct{}
	ended sync.WaitGroup // run and refresh
	quit  sync.Once

	last map[string]uint64 // of each node's messages, the last Once; the adapter's goroutine's

	publishing sync.Mutex // held while one message is published to several subjects
	once       uint64     // the last of them

	mu      sync.Mutex
	wanted  map[string]bool // changes not yet made: subjects to listen to (true) or to stop listening to
	changed []func()
}

func newCluster(s *Server, a Adapter) *cluster {
	return &cluster{server: s, adapter: a, node: a.Node(), soon: make(chan struct{}, 1), again: make(chan struct{}, 1), end: make(chan struct{}),
		last: map[string]uint64{}, wanted: map[string]bool{}}
}

// serve starts the goroutines and begins to receive.
func (c *cluster) serve() {
	c.ended.Go(c.run)
	c.ended.Go(c.refresh)
	c.want(nodeSubject(c.node), true)
	c.adapter.Serve(c.hear, c.answer, c.tellChange)
}

// run keeps the adapter's subjects up to date until close.
func (c *cluster) run() {
	for {
		select {
		case <-c.soon:
			c.settle()
		case <-c.end:
			return
		}
	}
}

// settle listens to subjects, and stops listening to others, as requested by want since the last call.
func (c *cluster) settle() {
	c.mu.Lock()
	wanted := c.wanted
	c.wanted = map[string]bool{}
	c.mu.Unlock()
	for subject, listen := range wanted {
		if listen {
			c.failed("cannot listen to other nodes", c.adapter.Listen(subject))
		} else {
			c.adapter.Unlisten(subject)
		}
	}
}

// refresh saves all sockets in the journal again before their records expire, until close.
func (c *cluster) refresh() {
	tick := time.NewTicker(max(c.server.config.Recovery/3, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.server.refresh()
		case <-c.again:
			c.server.refresh()
		case <-c.end:
			return
		}
	}
}

// refreshSoon makes refresh save all sockets now, and does not wait for it.
func (c *cluster) refreshSoon() {
	select {
	case c.again <- struct{}{}:
	default:
	}
}

// close ends the goroutines and waits for them.
func (c *cluster) close() {
	c.quit.Do(func() { close(c.end) })
	c.ended.Wait()
}

// failed counts and logs an error, if there is one.
func (c *cluster) failed(what string, err error) {
	if err == nil || c == nil {
		return
	}
	c.server.counters.failed.Add(1)
	if leftOut, ok := c.server.failures.OK(); ok {
		c.server.log.Warn(what, append([]any{"error", err}, leftOut...)...)
	}
}

// tell sends a message to the nodes that listen to a subject.
func (c *cluster) tell(subject string, m message) {
	data, err := m.encode()
	if err == nil {
		err = c.adapter.Publish(subject, data)
	}
	c.failed(notSent, err)
}

const notSent = "an event was not sent to other nodes"

// want records whether to listen to a subject, and wakes run.
func (c *cluster) want(subject string, listen bool) {
	c.mu.Lock()
	c.wanted[subject] = listen
	c.mu.Unlock()
	select {
	case c.soon <- struct{}{}:
	default:
	}
}

func (n *Namespace) listenLocked(subject string) {
	if c := n.server.cluster; c != nil {
		c.want(subject, true)
	}
}

func (n *Namespace) unlistenLocked(subject string) {
	if c := n.server.cluster; c != nil {
		c.want(subject, false)
	}
}

// The subjects. A node listens to the subject of each namespace and room in which it has sockets, and to its own subject.

func (n *Namespace) subject() string {
	if n.server.cluster == nil {
		return ""
	}
	return "ns." + hash(n.server.config.Path+n.name)
}

func (n *Namespace) roomSubject(room string) string {
	if n.server.cluster == nil {
		return ""
	}
	return "room." + hash(n.server.config.Path+n.name+","+room)
}

func nodeSubject(node string) string { return "node." + node }

func hash(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}

// An event for several rooms reaches only nodes with members of one of them, by a copy for each room, unless there are more
// rooms or all copies have more bytes.
const (
	mostSubjects = 16
	mostCopied   = 256 << 10
)

// publishLocked sends an event to the other nodes.
func (n *Namespace) publishLocked(e emission) {
	c := n.server.cluster
	if c == nil {
		return
	}
	m := e.message(n)
	if len(e.rooms) == 0 || len(e.rooms) > mostSubjects || e.hole || n.joined.any(e.rooms) { // all nodes must know about a hole
		c.tell(n.subject(), m)
		return
	}
	var subjects []string
	for _, room := range e.rooms {
		if node := c.nodeOf(room); node != "" { // a socket's own room
			subjects = append(subjects, nodeSubject(node))
		}
		subjects = append(subjects, n.roomSubject(room))
	}
	slices.Sort(subjects)
	subjects = slices.Compact(subjects)
	switch {
	case len(subjects) == 1:
		c.tell(subjects[0], m)
	case len(e.rooms) > 1 && len(subjects)*m.size() > mostCopied:
		c.tell(n.subject(), m)
	default:
		c.tellOnce(subjects, m)
	}
}

// joined are rooms that sockets of other nodes were told to join a moment ago: at least joinTime, at most twice as long. A node
// that has just got its first member in a room may not listen to the room yet, so events for these rooms go to all nodes.
type joined struct {
	recent, older map[string]bool // by the rooms' hashes, as names may be long; allRooms stands for all
	turned        time.Time       // when older became what recent was; zero if both are empty
}

const (
	joinTime   = 5 * time.Second // for a node to listen to a room
	mostJoined = 1000            // rooms; beyond that, events for all rooms go to all nodes
	allRooms   = ""
)

// noteJoin records that sockets of other nodes are about to be told to join rooms.
func (n *Namespace) noteJoin(rooms []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	j := &n.joined
	j.turn()
	if j.turned.IsZero() {
		j.recent, j.turned = map[string]bool{}, time.Now()
	}
	if len(j.recent)+len(rooms) > mostJoined {
		j.recent[allRooms] = true
		return
	}
	for _, room := range rooms {
		j.recent[hash(room)] = true
	}
}

// turn forgets rooms that have been there for long enough.
func (j *joined) turn() {
	past := time.Since(j.turned)
	switch {
	case j.turned.IsZero() || past < joinTime:
	case past < 2*joinTime && len(j.recent) > 0:
		j.recent, j.older, j.turned = map[string]bool{}, j.recent, time.Now()
	default:
		*j = joined{}
	}
}

// any reports whether any of the rooms is one of these. The caller holds the namespace's lock.
func (j *joined) any(rooms []string) bool {
	if j.turned.IsZero() {
		return false
	}
	j.turn()
	is := func(key string) bool { return j.recent[key] || j.older[key] }
	return is(allRooms) || slices.ContainsFunc(rooms, func(room string) bool { return is(hash(room)) })
}

// tellOnce sends a message to the nodes that listen to any of the subjects. Each handles it once.
func (c *cluster) tellOnce(subjects []string, m message) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	c.once++
	m.Once = c.once
	data, err := m.encode()
	for i := 0; i < len(subjects) && err == nil; i++ {
		err = c.adapter.Publish(subjects[i], data)
	}
	c.failed(notSent, err)
}

// isRepeat reports whether a message was received from its node before, on another subject.
func (c *cluster) isRepeat(node string, m message) bool {
	if m.Once == 0 {
		return false
	}
	if m.Once <= c.last[node] {
		return true
	}
	c.last[node] = m.Once
	return false
}

func (e emission) message(n *Namespace) message {
	return message{
		Kind: tellEmit, Namespace: n.name, Rooms: e.rooms, Except: e.except, Volatile: e.volatile, Hole: e.hole,
		payload: e.packet.data, attachments: e.attachments,
	}
}

// isMoved reports whether a socket has come back from another node: its id begins with that node's name.
func (c *cluster) isMoved(s *Socket) bool { return c != nil && !strings.HasPrefix(s.id, c.node) }

// nodeOf returns the name of the other node that a socket with that id was first connected to, or "".
func (c *cluster) nodeOf(id string) string {
	const nodeLen, idLen = 8, 24
	if len(id) != idLen || id[:nodeLen] == c.node || !slices.Contains(c.adapter.Nodes(), id[:nodeLen]) {
		return ""
	}
	return id[:nodeLen]
}

// hear handles a message from another node.
func (c *cluster) hear(node, subject string, data []byte) {
	m, err := decodeMessage(data)
	if err != nil {
		c.failed("another node sent an invalid message", err)
		return
	}
	n := c.server.lookup(m.Namespace)
	if n == nil || c.isRepeat(node, m) {
		return
	}
	switch m.Kind {
	case tellEmit:
		watching, err := n.emit(emission{audience: m.audience(), packet: m.packet(), attachments: m.attachments, volatile: m.Volatile, forgotten: m.Hole, hole: m.Hole, local: true})
		c.failed("an event from another node was lost", err)
		n.notifyAll(watching, m)
	case tellJoin, tellLeave, tellDisconnect:
		n.apply(m)
	}
}

// notifyAll calls the OnAnyOutgoing functions of sockets with the event in a message.
func (n *Namespace) notifyAll(watching []*Socket, m message) {
	if len(watching) == 0 {
		return
	}
	args, err := decodeArgs(m.payload, m.attachments, len(m.payload))
	if err != nil {
		return
	}
	var event string
	if args[0].Decode(&event) != nil {
		return
	}
	values := make([]any, len(args)-1)
	for i, arg := range args[1:] {
		values[i] = arg
	}
	for _, s := range watching {
		n.server.guard(s.log(), "OnAnyOutgoing", func() { s.notify(event, values) })
	}
}

// tellChange calls the OnNodes functions. The adapter calls it when a node came or left.
func (c *cluster) tellChange() {
	nodes := c.adapter.Nodes()
	maps.DeleteFunc(c.last, func(node string, _ uint64) bool { return !slices.Contains(nodes, node) })
	c.mu.Lock()
	changed := slices.Clone(c.changed)
	c.mu.Unlock()
	for _, f := range changed {
		c.server.guard(c.server.log, "OnNodes", f)
	}
}

// OnNodes adds a function that is called when another node has joined or left the cluster, and totals over all nodes may
// have changed. The Server calls it in one of its own goroutines; it must not block. Without an Adapter it is never called.
func (s *Server) OnNodes(f func()) {
	if s.cluster == nil {
		return
	}
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.cluster.changed = append(s.cluster.changed, f)
}
