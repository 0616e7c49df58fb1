package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"echows/bench/internal/visit"
)

// Socket.IO, over WebSockets and by polling: acknowledgements, and the events of rooms whose members use both.

const (
	roomCount   = 3
	roomMembers = 4 // every other one polls
	eventPause  = 150 * time.Millisecond
)

func (c *company) socketIO() {
	events := c.kind("Socket.IO events to rooms", roomCount*roomMembers)
	acks := c.kind("Socket.IO acknowledgements", roomCount*roomMembers)
	for i := range roomCount {
		group := newChoir(events, "an event", roomMembers)
		var sockets [roomMembers]*ioSocket
		for j := range sockets {
			sockets[j] = &ioSocket{member: group.members[j], acks: acks, room: fmt.Sprint("soak-", i), visitor: c.from(5+i, j), waiting: map[int]chan bool{}}
		}
		c.gather(group, eventPause,
			func(m *member) error { return sockets[m.place].listen(c.ctx) },
			func(m *member, n int64) error { return sockets[m.place].speak(c.ctx, n) })
	}
}

// ioSocket is a client of the namespace "/" in one room.
type ioSocket struct {
	*member
	acks    *kind
	room    string
	visitor *visit.Visitor
	beside  sync.WaitGroup // what must not block the reader

	mu      sync.Mutex // guards what follows
	id      int        // of the last acknowledgement
	waiting map[int]chan bool
}

// listen is one connection.
func (s *ioSocket) listen(ctx context.Context) error {
	defer s.visitor.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer s.beside.Wait()
	defer s.forget()
	defer cancel()
	s.begins()
	connected := func() {
		s.beside.Go(func() {
			if s.ask(ctx, "join", fmt.Sprintf(`{"room":"%s"}`, s.room)) == nil {
				s.comes()
			}
		})
	}
	if s.place%2 == 0 {
		return s.onWebSocket(ctx, connected)
	}
	return s.byPolling(ctx, connected)
}

// forget tells the goroutines that wait for an acknowledgement that it will not come.
func (s *ioSocket) forget() {
	s.out.set(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, waits := range s.waiting {
		close(waits)
		delete(s.waiting, id)
	}
}

func (s *ioSocket) onWebSocket(ctx context.Context, connected func()) error {
	conn, err := s.visitor.Enter(ctx, "good")
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	s.out.set(func(packet string) error {
		conn.SetWriteDeadline(time.Now().Add(answerTime))
		return visit.Say(conn, packet)
	})
	connected()
	for {
		conn.SetReadDeadline(time.Now().Add(answerTime)) // the server pings more often
		_, packet, err := conn.ReadMessage()
		if err == nil {
			err = s.take(packet)
		}
		if err != nil {
			return err
		}
	}
}

func (s *ioSocket) byPolling(ctx context.Context, connected func()) error {
	path, err := s.visitor.Begin(ctx)
	if err != nil {
		return err
	}
	post := func(packet string) error {
		_, err := s.visitor.Ask(ctx, http.MethodPost, path, "", []byte(packet))
		return err
	}
	if err := post(visit.ConnectPacket("/", "good")); err != nil {
		return err
	}
	s.out.set(post)
	for in := false; ; {
		body, err := s.visitor.Ask(ctx, http.MethodGet, path, "", nil)
		if err != nil {
			s.visitor.Ask(context.WithoutCancel(ctx), http.MethodPost, path, "", []byte("1")) // ends the session immediately
			return err
		}
		for packet := range bytes.SplitSeq(body, []byte{'\x1e'}) {
			if !in && bytes.HasPrefix(packet, []byte("40{")) {
				in = true
				connected()
			}
			if err := s.take(packet); err != nil {
				return err
			}
		}
	}
}

// take handles one packet.
func (s *ioSocket) take(packet []byte) error {
	switch {
	case string(packet) == "2":
		s.beside.Go(func() { s.out.say("3") })
		return nil
	case bytes.HasPrefix(packet, []byte("43")):
		return s.acked(packet)
	case bytes.HasPrefix(packet, []byte(`42["room message",`)):
		return s.told(packet)
	case string(packet) == "1", bytes.HasPrefix(packet, []byte("41")), bytes.HasPrefix(packet, []byte("44")):
		return fmt.Errorf("the server says %.100s", packet)
	}
	return nil
}

func (s *ioSocket) told(packet []byte) error {
	var event [2]json.RawMessage
	var says struct{ Room, Text string }
	err := json.Unmarshal(packet[2:], &event)
	if err == nil {
		err = json.Unmarshal(event[1], &says)
	}
	var from int
	var n int64
	if err == nil {
		_, err = fmt.Sscanf(says.Text, "%d %d", &from, &n)
	}
	if err != nil || says.Room != s.room {
		return fmt.Errorf("%s gets %.200s, %v", s.room, packet, err)
	}
	s.hears(from, n)
	return nil
}

func (s *ioSocket) acked(packet []byte) error {
	digits, answer, _ := strings.Cut(string(packet[2:]), "[")
	id, err := strconv.Atoi(digits)
	if err != nil {
		return fmt.Errorf("got %.100s", packet)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if waits, ok := s.waiting[id]; ok {
		waits <- strings.HasPrefix(answer, `{"ok":true`)
		delete(s.waiting, id)
	}
	return nil
}

// speak says a number in the room, and asks for another acknowledgement besides.
func (s *ioSocket) speak(ctx context.Context, n int64) error {
	if err := s.ask(ctx, "room message", fmt.Sprintf(`{"room":"%s","text":"%d %d"}`, s.room, s.place, n)); err != nil {
		return err
	}
	s.ask(ctx, "round trip", `{}`)
	return nil
}

// ask emits an event and waits for its acknowledgement, which is counted.
func (s *ioSocket) ask(ctx context.Context, event, argument string) error {
	s.mu.Lock()
	s.id++
	id, answer := s.id, make(chan bool, 1)
	s.waiting[id] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting, id)
	}()
	err := s.out.say(fmt.Sprintf(`42%d["%s",%s]`, id, event, argument))
	if err == errAway {
		return err
	}
	s.acks.sent.Add(1)
	why := "no connection"
	if err == nil {
		late := time.NewTimer(answerTime)
		defer late.Stop()
		select {
		case ok, came := <-answer:
			if ok {
				s.acks.heard.Add(1)
				return nil
			}
			if came {
				why = "refused"
			}
		case <-late.C:
			why = "no answer in time"
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if ctx.Err() == nil {
		s.acks.loses(1, event+": "+why)
	}
	return fmt.Errorf("%s: %s", event, why)
}
