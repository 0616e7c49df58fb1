// Package rooms is the third lesson: events, announcements, a count, namespaces and rooms, as the page /rooms shows them.
//
// rooms.go: what visitors may do. crowd.go: what everyone is told of who came and who left.
package rooms

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"echows/broker"
	"echows/chat"
	"echows/socketio"
)

const (
	mostRooms = 10   // that one visitor may be in
	longest   = 1000 // characters of a message
	perSecond = 20   // events of one visitor; in bursts of twice as many
)

// said is a message to a namespace, or to one of its rooms.
type said struct {
	From string `json:"from"`
	Room string `json:"room,omitempty"`
	Text string `json:"text"`
}

// answer is every acknowledgement: what went wrong, or nothing.
type answer struct {
	OK    bool     `json:"ok"`
	Error string   `json:"error,omitempty"`
	Rooms []string `json:"rooms,omitempty"` // those the visitor is in now
}

// visitorName is what a visitor is called.
var visitorName = socketio.NewKey[string]("name")

// Serve serves the namespaces of these names, such as "/". Visitors of one do not hear those of another.
func Serve(io *socketio.Server, namespaces ...string) {
	for _, name := range namespaces {
		crowd := visitors(io.Of(name))
		io.OnNodes(crowd.recount) // people are counted over all nodes
	}
}

// visitors serves one namespace.
func visitors(n *socketio.Namespace) *crowd {
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
		v := &visitor{socket: s, name: name, events: rate.NewLimiter(perSecond, 2*perSecond)}
		socketio.On(s, "message", v.limited(v.say))
		socketio.On(s, "join", v.limited(v.join))
		socketio.On(s, "leave", v.limited(v.leave))
		socketio.On(s, "room message", v.limited(v.sayInRoom))
		s.On("round trip", func(e socketio.Event) error { return e.Ack(answer{OK: true}) })
		s.OnDisconnect(func(string) { c.left(name) })
		c.joined(name, s.ID())
		return nil
	})
	return c
}

// visitor is one socket of the page.
type visitor struct {
	socket *socketio.Socket
	name   string
	events *rate.Limiter
}

// rooms are those the visitor is in; a socket that came back is in them already.
func (v *visitor) rooms() []string {
	return slices.DeleteFunc(v.socket.Rooms(), func(room string) bool { return room == v.socket.ID() })
}

// asked is what a visitor's events carry.
type asked struct {
	Room string `json:"room"`
	Text string `json:"text"`
}

// limited answers an event with what f says, or with its error.
func (v *visitor) limited(f func(asked) error) func(socketio.Event, asked) error {
	return func(e socketio.Event, a asked) error {
		err := errors.New("too many events; wait a moment")
		if v.events.Allow() {
			err = f(a)
		}
		if err != nil {
			return e.Ack(answer{Error: err.Error()})
		}
		return e.Ack(answer{OK: true, Rooms: v.rooms()})
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
		return errors.New("a room's name has 1 to 64 of a–z, 0–9, - and _")
	case len(v.rooms()) >= mostRooms && !v.socket.In(a.Room):
		return fmt.Errorf("nobody can be in more than %d rooms", mostRooms)
	}
	return v.socket.Join(a.Room)
}

func (v *visitor) leave(a asked) error {
	if !broker.ValidTopic(a.Room) { // not even the one that has its id
		return errors.New("there is no such room")
	}
	v.socket.Leave(a.Room)
	return nil
}

func (v *visitor) sayInRoom(a asked) error {
	if !broker.ValidTopic(a.Room) || !v.socket.In(a.Room) {
		return errors.New("only members can speak in a room; join it first")
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
