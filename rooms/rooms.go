// Package rooms is the third lesson: the server's side of the page /rooms, with events, announcements, a count of
// visitors, namespaces and rooms. Read it to learn package socketio.
//
// rooms.go: the events that visitors send. crowd.go: announcements of who came and who left. metrics.go: limits that were
// reached.
package rooms

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4/middleware"
	"golang.org/x/time/rate"

	"echows/broker"
	"echows/chat"
	"echows/socketio"
)

const (
	mostRooms = 10   // how many rooms one visitor may be in
	longest   = 1000 // characters of a message
	perSecond = 20   // events of one visitor; bursts may have twice as many
	ofAddress = 200  // events of all visitors from one address together, since many people hear each; bursts may have twice as many
)

// A refusal costs about as much as an event, so refusals must be rare, too. The pauses alone would not do: one POST may have
// 10,000 events, and its session would be busy with refusals for minutes.
const (
	pause         = time.Second / perSecond // how long the server reads nothing from a visitor after it has refused an event
	patienceRate  = 1                       // refused events a second that a connection survives
	patienceBurst = 100                     // how many of them at once; past that the connection is ended
)

// said is a message to a namespace, or to one of its rooms.
type said struct {
	From string `json:"from"`
	Room string `json:"room,omitempty"`
	Text string `json:"text"`
}

// answer is the acknowledgement of an event. Error is "" if OK is true.
type answer struct {
	OK    bool     `json:"ok"`
	Error string   `json:"error,omitempty"`
	Rooms []string `json:"rooms,omitempty"` // the rooms that the visitor is in now
}

// These are always the same, so they are encoded once.
var (
	fine    = json.RawMessage(`{"ok":true}`)
	tooMany = json.RawMessage(`{"ok":false,"error":"too many events; wait a moment"}`)
	atLast  = json.RawMessage(`{"ok":false,"error":"too many events; you are disconnected"}`)
)

// visitorName is the key of a visitor's name.
var visitorName = socketio.NewKey[string]("name")

// Serve serves the namespaces with the given names, such as "/". Visitors of one namespace do not hear visitors of another.
// After io has ended, call End.
func Serve(io *socketio.Server, namespaces ...string) *Served {
	s := &Served{limits: newLimits()}
	for _, name := range namespaces {
		crowd := visitors(io.Of(name), s.limits)
		io.OnNodes(crowd.recount) // people are counted over all nodes
		s.crowds = append(s.crowds, crowd)
	}
	return s
}

// Served is the namespaces that are being served.
type Served struct {
	limits *limits
	crowds []*crowd
}

// End waits, for a few seconds at most, until all announcements have ended.
func (s *Served) End() {
	for _, c := range s.crowds {
		c.end()
	}
}

// limits are those that visitors share. They forget whoever is silent for three minutes.
type limits struct {
	networks *middleware.RateLimiterMemoryStore // events of all visitors of a network
	patience *middleware.RateLimiterMemoryStore // refused events of a connection, which may leave a namespace and come back

	// How often visitors reached their own limit of events, their network's, and the limit of rooms.
	ofVisitor, ofNetwork, rooms atomic.Uint64
}

func newLimits() *limits {
	return &limits{
		networks: middleware.NewRateLimiterMemoryStoreWithConfig(middleware.RateLimiterMemoryStoreConfig{Rate: ofAddress, Burst: 2 * ofAddress}),
		patience: middleware.NewRateLimiterMemoryStoreWithConfig(middleware.RateLimiterMemoryStoreConfig{Rate: patienceRate, Burst: patienceBurst}),
	}
}

// allows reports whether a limit lets one more event pass, and counts it.
func allows(limit *middleware.RateLimiterMemoryStore, of string) bool {
	ok, err := limit.Allow(of)
	return ok && err == nil
}

// visitors serves one namespace.
func visitors(n *socketio.Namespace, shared *limits) *crowd {
	c := &crowd{namespace: n}
	n.Use(func(s *socketio.Socket) error { // before it is connected
		var who struct{ Name string }
		if err := s.Auth(&who); err != nil {
			return errors.New("connect with {\"name\": …}")
		}
		name, err := chat.CleanName(who.Name)
		if err != nil {
			return err
		}
		visitorName.Set(s, name)
		return nil
	})
	n.OnConnect(func(s *socketio.Socket) error {
		name, _ := visitorName.Get(s)
		from := s.Handshake()
		v := &visitor{
			socket: s, name: name, connection: from.Connection, network: from.Network,
			events: rate.NewLimiter(perSecond, 2*perSecond), shared: shared,
		}
		s.On("message", v.limited(v.say))
		s.On("join", v.limited(v.join))
		s.On("leave", v.limited(v.leave))
		s.On("room message", v.limited(v.sayInRoom))
		s.On("round trip", func(e socketio.Event) error { return e.Ack(fine) })
		s.OnDisconnect(func(string) { c.left(name) })
		c.joined(name, s.ID())
		return nil
	})
	return c
}

// visitor is a visitor of the page, with one socket.
type visitor struct {
	socket              *socketio.Socket
	name                string
	connection, network string

	events *rate.Limiter
	shared *limits
}

// rooms returns the rooms that the visitor is in. A socket that came back is already in its rooms.
func (v *visitor) rooms() []string {
	return slices.DeleteFunc(v.socket.Rooms(), func(room string) bool { return room == v.socket.ID() })
}

// asked is the argument of a visitor's events.
type asked struct {
	Room string `json:"room"`
	Text string `json:"text"`
}

// limited returns a listener that calls f, and acknowledges the event with f's error or with the visitor's rooms. It
// refuses events past the limits, and does not decode them.
func (v *visitor) limited(f func(asked) error) func(socketio.Event) error {
	return func(e socketio.Event) error {
		if !v.mayGoOn() {
			return v.refuse(e)
		}
		var a asked
		if err := e.Decode(&a); err != nil {
			return err
		}
		if err := f(a); err != nil {
			return e.Ack(answer{Error: err.Error()})
		}
		return e.Ack(answer{OK: true, Rooms: v.rooms()})
	}
}

// mayGoOn reports whether the visitor may send another event, within its own limit and its network's.
func (v *visitor) mayGoOn() bool {
	switch {
	case !v.events.Allow():
		v.shared.ofVisitor.Add(1)
		return false
	case !allows(v.shared.networks, v.network):
		v.shared.ofNetwork.Add(1)
		return false
	}
	return true
}

// refuse acknowledges an event past the limits, and keeps the next ones waiting, or ends the connection of a visitor who goes on.
func (v *visitor) refuse(e socketio.Event) error {
	if !allows(v.shared.patience, v.connection) {
		err := e.Ack(atLast)
		v.socket.Disconnect(true)
		return err
	}
	err := e.Ack(tooMany)
	v.pause()
	return err
}

// pause keeps the visitor's next events waiting.
func (v *visitor) pause() {
	select {
	case <-time.After(pause):
	case <-v.socket.Context().Done():
	}
}

func (v *visitor) say(a asked) error {
	if err := checkText(a.Text); err != nil {
		return err
	}
	return v.socket.Namespace().Emit("message", said{From: v.name, Text: a.Text}) // to all
}

func (v *visitor) join(a asked) error {
	switch {
	case !broker.ValidTopic(a.Room):
		return errors.New("a room's name has 1 to 64 characters: a–z, 0–9, - and _")
	case len(v.rooms()) >= mostRooms && !v.socket.In(a.Room):
		v.shared.rooms.Add(1)
		return fmt.Errorf("you can be in at most %d rooms", mostRooms)
	}
	return v.socket.Join(a.Room)
}

func (v *visitor) leave(a asked) error {
	if !broker.ValidTopic(a.Room) { // the socket's own room, named by its id, is not valid either
		return errors.New("there is no such room")
	}
	v.socket.Leave(a.Room)
	return nil
}

func (v *visitor) sayInRoom(a asked) error {
	if !broker.ValidTopic(a.Room) || !v.socket.In(a.Room) {
		return errors.New("only members can send messages to a room; join it first")
	}
	if err := checkText(a.Text); err != nil {
		return err
	}
	return v.socket.Namespace().To(a.Room).Emit("room message", said{From: v.name, Room: a.Room, Text: a.Text})
}

func checkText(text string) error {
	if strings.TrimFunc(text, unicode.IsSpace) == "" || utf8.RuneCountInString(text) > longest {
		return fmt.Errorf("a message has 1 to %d characters", longest)
	}
	return nil
}
