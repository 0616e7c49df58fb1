package socketio_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"echows/socketio"
)

var histories = flag.Uint64("histories", 500, "how many TestRecoveryOfManyHistories tries, of each kind")

// history is a random history of one namespace: clients connect, lose their connections together with some of their last
// packets, and come back, while the server emits. The test knows which events each client must receive.
type history struct {
	*server
	t         *testing.T
	random    *rand.Rand
	name      string // the namespace's
	strict    bool   // nothing is forgotten, so all clients can come back
	sockets   chan *socketio.Socket
	namespace *socketio.Namespace // with its first socket
	clients   [3]*mobile
	events    int
	holes     int      // how often a client could not come back
	log       []string // steps so far, for debugging
}

// mobile is a client, and the events that it must receive.
type mobile struct {
	name             string
	session          string // of Engine.IO; "" without a connection
	socket           *socketio.Socket
	sid, pid, offset string
	lost             bool // the server has a socket that the client may come back to
	rooms            map[string]bool
	entitled, heard  []string
}

var modelRooms = []string{"a", "b", "c"}

func (h *history) step() {
	m := h.clients[h.random.IntN(len(h.clients))]
	switch n := h.random.IntN(20); {
	case n < 9:
		h.emit()
	case m.session == "":
		h.connect(m)
	case n < 12:
		room := modelRooms[h.random.IntN(len(modelRooms))]
		if m.rooms[room] {
			h.note("%s leaves %s", m.name, room)
			m.socket.Leave(room)
			delete(m.rooms, room)
		} else {
			h.note("%s joins %s", m.name, room)
			m.socket.Join(room)
			m.rooms[room] = true
		}
	case n < 14:
		h.read(m, 1000)
	case n == 14:
		h.note("%s makes a mistake", m.name)
		h.call("POST", m.session, `42`+h.name+`,["number","five"]`)
	case n == 15:
		h.note("%s says goodbye", m.name)
		h.read(m, 1000)
		h.call("POST", m.session, "41"+h.name)
		m.session, m.lost, m.rooms = "", false, nil
	case n < 18:
		h.note("%s loses its connection", m.name)
		h.read(m, h.random.IntN(4)) // and some packets already sent to it
		h.call("POST", m.session, "1")
		<-m.socket.Context().Done()
		m.session, m.lost = "", true
	default:
		h.note("%s comes back before the server noticed", m.name)
		if h.random.IntN(2) == 0 {
			h.read(m, h.random.IntN(4))
		}
		m.lost = true
		h.connect(m)
	}
}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

func (h *history) emit() {
	n := h.namespace
	if n == nil {
		return
	}
	h.events++
	event := fmt.Sprintf("e%d", h.events)
	room, other := modelRooms[h.random.IntN(3)], modelRooms[h.random.IntN(3)]
	m := h.clients[h.random.IntN(3)]
	everyone := func(*mobile) bool { return true }
	to, isFor := n.Emitter, everyone
	switch h.random.IntN(8) {
	case 0:
		h.note("%s to all", event)
	case 1:
		h.note("%s to %s", event, room)
		to, isFor = n.To(room), func(c *mobile) bool { return c.rooms[room] }
	case 2:
		h.note("%s to %s and %s", event, room, other)
		to, isFor = n.To(room, other), func(c *mobile) bool { return c.rooms[room] || c.rooms[other] }
	case 3:
		h.note("%s to %s except %s", event, room, other)
		to, isFor = n.To(room).Except(other), func(c *mobile) bool { return c.rooms[room] && !c.rooms[other] }
	case 4:
		h.note("%s to all except %s", event, other)
		to, isFor = n.Except(other), func(c *mobile) bool { return !c.rooms[other] }
	case 5:
		h.note("%s to %s by its id", event, m.name)
		to, isFor = n.To(m.sid), func(c *mobile) bool { return c == m && m.sid != "" }
	case 6:
		h.note("volatile to all")
		n.Volatile().Emit("volatile")
		return
	case 7:
		if m.session == "" {
			return
		}
		h.note("%s to %s and to the others", event, m.name)
		if err := m.socket.Emit(event); err != nil {
			h.t.Error(err)
		}
		m.entitled = append(m.entitled, event)
		event += "b"
		to, isFor = m.socket.Broadcast(), func(c *mobile) bool { return c != m }
	}
	to.Emit(event)
	for _, c := range h.clients {
		if (c.session != "" || c.lost) && isFor(c) {
			c.entitled = append(c.entitled, event)
		}
	}
}

// read polls the waiting packets of a client, of which only the given number reach it.
func (h *history) read(m *mobile, most int) (answer map[string]string) {
	h.call("POST", m.session, "42"+h.name+`,7["sync"]`) // so that at least one packet waits
	whole := false
	for _, text := range strings.Split(h.call("GET", m.session, ""), "\x1e") {
		if text == "43"+h.name+",7[]" {
			whole = true
			break
		}
		if most--; most < 0 {
			return answer
		}
		if data, ok := strings.CutPrefix(text, "40"+h.name+","); ok {
			json.Unmarshal([]byte(data), &answer)
			continue
		}
		var event []string
		if json.Unmarshal([]byte(strings.TrimPrefix(text, "42"+h.name+",")), &event) != nil {
			var mistake []any // event "error", whose first argument is an object
			json.Unmarshal([]byte(strings.TrimPrefix(text, "42"+h.name+",")), &mistake)
			m.offset, _ = mistake[len(mistake)-1].(string)
			continue
		}
		m.offset = event[len(event)-1]
		if event[0] != "volatile" {
			m.heard = append(m.heard, event[0])
		}
	}
	if whole && answer == nil && !slices.Equal(m.heard, m.entitled) {
		h.t.Errorf("%s heard %v, and was to hear %v", m.name, m.heard, m.entitled)
	}
	return answer
}

// connect opens a connection, and tells the server which socket the client had.
func (h *history) connect(m *mobile) {
	m.session = h.openCall()
	auth := ""
	if m.pid != "" {
		auth = fmt.Sprintf(`,{"pid":%q,"offset":%q}`, m.pid, m.offset)
	}
	h.call("POST", m.session, "40"+h.name+auth)
	m.socket = <-h.sockets
	h.namespace = m.socket.Namespace()
	recovered := m.socket.Recovered()
	h.note("%s connects with offset %q: %v", m.name, m.offset, recovered)
	switch {
	case recovered && (!m.lost || m.socket.ID() != m.sid):
		h.t.Errorf("%s came back as %s and was %s", m.name, m.socket.ID(), m.sid)
	case !recovered && m.lost && h.strict:
		h.t.Errorf("%s did not come back", m.name)
	case !recovered && m.lost:
		h.holes++
		fallthrough
	case !recovered:
		m.entitled, m.heard, m.rooms = nil, nil, map[string]bool{}
		m.sid = m.socket.ID()
	}
	for _, room := range modelRooms {
		if m.socket.In(room) != m.rooms[room] {
			h.t.Errorf("%s is in %v, and was to be in %v", m.name, m.socket.Rooms(), m.rooms)
		}
	}
	m.lost = false
	if recovered && h.random.IntN(5) == 0 { // the answer is lost, too
		h.note("without an answer")
		m.lost = true
		h.connect(m)
		return
	}
	answer := h.read(m, 1000)
	if answer["sid"] != m.socket.ID() || answer["pid"] == "" {
		h.t.Errorf("%s is told %v, and is %s", m.name, answer, m.socket.ID())
	}
	if m.pid = answer["pid"]; !recovered {
		m.offset = ""
	}
	if h.read(m, 0); !slices.Equal(m.heard, m.entitled) {
		h.t.Errorf("%s heard %v, and was to hear %v", m.name, m.heard, m.entitled)
	}
}

// A client that comes back has received, in the end, each event for it, once and in order, or is told that it is new.
func TestRecoveryOfManyHistories(t *testing.T) {
	for _, bytes := range []int64{0, 3000} {
		s := start(t, socketio.Config{Recovery: time.Hour, RecoveryBytes: bytes})
		holes := 0
		sockets := make(chan *socketio.Socket, 1)
		s.io.OfMatch(regexp.MustCompile(`/h\d+`)).OnConnect(func(one *socketio.Socket) error {
			one.On("sync", func(e socketio.Event) error { return e.Ack() })
			socketio.On(one, "number", func(socketio.Event, int) error { return nil })
			sockets <- one
			return nil
		})
		for seed := range *histories {
			here := *s
			here.address = fmt.Sprintf("10.1.%d.%d:1", seed/250, seed%250)
			h := &history{
				server: &here, t: t, random: rand.New(rand.NewPCG(seed, 0)), name: fmt.Sprint("/h", seed), strict: bytes == 0, sockets: sockets,
				clients: [3]*mobile{{name: "ann"}, {name: "bob"}, {name: "cat"}},
			}
			for range 40 {
				h.step()
			}
			for _, m := range h.clients { // all clients leave
				if m.session == "" {
					h.connect(m)
				}
				h.read(m, 1000)
				h.call("POST", m.session, "41"+h.name+"\x1e1")
			}
			if holes += h.holes; t.Failed() {
				t.Fatalf("history %d with %d bytes:\n%s", seed, bytes, strings.Join(h.log, "\n"))
			}
		}
		if recovered := s.io.Stats().Recovered; recovered < *histories || (holes == 0) != (bytes == 0) {
			t.Errorf("with %d bytes %d came back, and %d did not", bytes, recovered, holes)
		}
	}
}
