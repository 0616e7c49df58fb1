package socketio

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"time"
)

// cluster is a Server's side of its Adapter: what its namespaces send to other nodes, and receive from them.
//
// A goroutine tells the adapter which subjects to listen to, since namespaces must not wait for it. For each subject, the
// last wish counts.
type cluster struct {
	server  *Server
	adapter Adapter
	node    string

	soon  chan struct{} // holds one when wanted has changed
	again chan struct{} // holds one when sockets are to be kept once more now
	end   chan struct{}
	ended sync.WaitGroup // run and refresh
	once  sync.Once

	mu      sync.Mutex
	wanted  map[string]bool // subjects to listen to (true) or not to listen to any more
	changed []func()
}

func newCluster(s *Server, a Adapter) *cluster {
	return &cluster{server: s, adapter: a, node: a.Node(), soon: make(chan struct{}, 1), again: make(chan struct{}, 1), end: make(chan struct{}), wanted: map[string]bool{}}
}

// serve begins.
func (c *cluster) serve() {
	c.ended.Go(c.run)
	c.ended.Go(c.refresh)
	c.want(nodeSubject(c.node), true)
	c.adapter.Serve(c.hear, c.answer, c.tellChange)
}

// run tells the adapter what this node wants to hear, until close.
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

// settle listens to the subjects that are wanted now, and to no others.
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

// refresh puts the sockets into the journal again before it forgets them, until close.
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

// refreshSoon has refresh do so now.
func (c *cluster) refreshSoon() {
	select {
	case c.again <- struct{}{}:
	default:
	}
}

// close ends the goroutines.
func (c *cluster) close() {
	c.once.Do(func() { close(c.end) })
	c.ended.Wait()
}

// failed counts and logs an error, if there is one.
func (c *cluster) failed(what string, err error) {
	if err == nil {
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
	c.failed("other nodes do not get an event", err)
}

// want notes whether to listen to a subject.
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

// The subjects. A node listens to that of each namespace and each room that it has sockets in, and to its own.

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

// publishLocked sends an event to the other nodes.
func (n *Namespace) publishLocked(e emission) {
	c := n.server.cluster
	if c == nil {
		return
	}
	m := e.message(n)
	if len(e.rooms) != 1 || e.hole { // of a hole everyone has to know
		c.tell(n.subject(), m)
		return
	}
	room := e.rooms[0]
	if node := c.nodeOf(room); node != "" { // the room that a socket has of its own
		c.tell(nodeSubject(node), m)
		m.Skip = node
	}
	c.tell(n.roomSubject(room), m)
}

func (e emission) message(n *Namespace) message {
	return message{
		Kind: tellEmit, Namespace: n.name, Rooms: e.rooms, Except: e.except, Volatile: e.volatile, Hole: e.hole,
		payload: e.packet.data, attachments: e.attachments,
	}
}

// nodeOf returns the name of the other node that a socket with that id is connected to, or "".
func (c *cluster) nodeOf(id string) string {
	const nodeLen, idLen = 8, 24
	if len(id) != idLen || id[:nodeLen] == c.node || !slices.Contains(c.adapter.Nodes(), id[:nodeLen]) {
		return ""
	}
	return id[:nodeLen]
}

// hear is called with the messages of other nodes.
func (c *cluster) hear(_, subject string, data []byte) {
	m, err := decodeMessage(data)
	if err != nil {
		c.failed("another node told nonsense", err)
		return
	}
	n := c.server.lookup(m.Namespace)
	if n == nil || m.Skip == c.node {
		return
	}
	switch m.Kind {
	case tellEmit:
		watching, err := n.emit(emission{audience: m.audience(), packet: m.packet(), attachments: m.attachments, volatile: m.Volatile, forgotten: m.Hole, hole: m.Hole, local: true})
		c.failed("an event of another node is lost", err)
		if len(watching) > 0 {
			n.notifyAll(watching, m)
		}
	case tellJoin, tellLeave, tellDisconnect:
		n.apply(m)
	}
}

// notifyAll calls the OnAnyOutgoing functions of sockets with an event of another node.
func (n *Namespace) notifyAll(watching []*Socket, m message) {
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

// tellChange is called when a node came or left.
func (c *cluster) tellChange() {
	c.mu.Lock()
	changed := slices.Clone(c.changed)
	c.mu.Unlock()
	for _, f := range changed {
		c.server.guard(c.server.log, "OnNodes", f)
	}
}

// OnNodes adds a function that is called, in a goroutine of ours, when another node came or left: numbers over all nodes have
// changed then. The function must not block. Without an Adapter it is never called.
func (s *Server) OnNodes(f func()) {
	if s.cluster == nil {
		return
	}
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.cluster.changed = append(s.cluster.changed, f)
}
