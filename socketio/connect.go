package socketio

import (
	"encoding/json"
	"errors"
	"slices"

	"golang.org/x/time/rate"
)

// Refusal is an error that a Use function or a listener returns to send a message to the client.
type Refusal struct {
	Message string
	Data    any // if not nil, encoded as JSON: in err.data for a refused connection, else in the data of the event "error"
}

func (r *Refusal) Error() string { return r.Message }

// The reasons for refusing a CONNECT. The client receives the messages of the Refusals.
var (
	errInvalidNamespace = &Refusal{Message: "Invalid namespace"} // the protocol's own
	errTooManyConnects  = &Refusal{Message: "Too many connects; wait a moment"}
	errTooManySpaces    = &Refusal{Message: "Too many namespaces"}
	errLongAuth         = &Refusal{Message: "The payload of CONNECT is too long"}
	errDisconnected     = &Refusal{Message: "Disconnected by the server"}
	errEnded            = errors.New("the connection has ended")
	errTooLate          = errors.New("the socket can no longer be recovered")
)

// connect answers a CONNECT with CONNECT or CONNECT_ERROR.
func (c *conn) connect(p packet) error {
	if why := c.judgeConnect(p); why != nil {
		return c.refuse(p.namespace, why)
	}
	auth := json.RawMessage("{}")
	if p.data != nil {
		auth = slices.Clone(p.data)
	}
	n := c.server.use(p.namespace, auth)
	if n == nil {
		return c.refuse(p.namespace, errInvalidNamespace)
	}
	s := n.newSocket(c, auth)
	admitted := false
	defer func() {
		if !admitted { // also if a Use function panics
			s.refused()
			c.server.release(n)
		}
	}()
	use, onConnect := n.handlers()
	err := c.admit(s, use, true)
	if errors.Is(err, errTooLate) { // the Use functions have seen a recovered socket, or none has seen this one
		s.refused()
		s = n.newSocket(c, auth)
		err = c.admit(s, use, false)
	}
	if err != nil {
		return c.refuse(p.namespace, err)
	}
	admitted = true
	s.debug("socket connected", "recovered", s.recovered)
	s.saveAnd(nil) // logs its error
	s.greet(onConnect)
	return nil
}

// judgeConnect returns the refusal if a CONNECT exceeds a limit, or nil.
func (c *conn) judgeConnect(p packet) error {
	limits := &c.server.config.Limits
	again := c.asked
	c.asked = true
	if again && c.connects == nil {
		c.connects = rate.NewLimiter(rate.Limit(limits.Connects), max(limits.Namespaces-1, 1))
	}
	reached, why := limit(0), (*Refusal)(nil)
	switch {
	case again && !c.connects.Allow():
		reached, why = limitConnects, errTooManyConnects
	case len(p.data) > limits.Auth:
		reached, why = limitAuth, errLongAuth
	case len(c.all()) >= limits.Namespaces:
		reached, why = limitNamespaces, errTooManySpaces
	default:
		return nil
	}
	c.server.counters.reached(reached)
	return why
}

// admit calls the Use functions with a new socket, and adds it to its namespace. If mayComeBack is true, the socket may be one
// that comes back; then admit returns errTooLate if another connection came back to it in the meantime, or if what it missed
// was forgotten.
func (c *conn) admit(s *Socket, use []func(*Socket) error, mayComeBack bool) error {
	n := s.namespace
	if n.journal != nil {
		if err := n.journal.wait(noContext); err != nil {
			return err
		}
	}
	comesBack := mayComeBack && n.recovery != nil && n.recovery.identify(s)
	if !comesBack || !c.server.config.RecoverySkipsUse {
		for _, f := range use {
			if err := f(s); err != nil {
				return err
			}
		}
	}
	c.mu.Lock() // held until the socket is in c.sockets, so that end finds it
	defer c.mu.Unlock()
	if c.ended {
		return errEnded
	}
	err := n.add(s)
	if err == nil {
		c.addLocked(s)
	}
	return err
}

// welcomeLocked answers a CONNECT, and then sends the events that a recovered socket missed.
func (n *Namespace) welcomeLocked(s *Socket, missed []*remembered) {
	pid := ""
	if s.memory != nil {
		pid = s.pid
	}
	data, err := json.Marshal(struct {
		SID string `json:"sid"`
		PID string `json:"pid,omitempty"`
	}{s.id, pid})
	if err != nil { // never: two strings
		panic(err)
	}
	f, err := encodeFrame(packet{kind: kindConnect, namespace: n.name, data: data}, nil)
	if err != nil {
		panic(err)
	}
	s.conn.session.Offer(f)
	for _, e := range missed {
		s.conn.session.Offer(e.frame)
	}
	n.server.counters.sent.of(s, len(missed))
}

// greet calls the OnConnect functions. The OnDisconnect functions run only after it.
func (s *Socket) greet(onConnect []func(*Socket) error) {
	defer s.settle()
	for _, f := range onConnect {
		if err := f(s); err != nil {
			if !errors.Is(err, ErrClosed) && !s.hasLeft(err) {
				s.log().Error("OnConnect failed", "error", err)
			}
			s.Disconnect(false)
			return
		}
	}
}

// refuse answers a CONNECT with CONNECT_ERROR and the reason.
func (c *conn) refuse(namespace string, why error) error {
	if errors.Is(why, errEnded) {
		return nil
	}
	c.server.counters.refused.Add(1)
	if leftOut, ok := c.server.refusedConnects.OK(); ok {
		line := []any{"id", c.session.LogID(), "namespace", namespace, "remote", c.session.RealIP(), "error", why}
		c.server.log.Info("a connect was refused", append(line, leftOut...)...)
	}
	answer := struct {
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}{Message: why.Error()}
	var r *Refusal
	if errors.As(why, &r) {
		answer.Data = r.Data
	}
	data, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return c.send(packet{kind: kindConnectError, namespace: namespace, data: data})
}
