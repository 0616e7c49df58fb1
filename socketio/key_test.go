package socketio_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"echows/socketio"
)

type person struct{ Name string }

var who = socketio.NewKey[person]("who")

// Values that Use functions set on a socket are available in OnConnect, in its listeners and to others, and are recovered.
func TestKeys(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute})
	defer s.close()
	s.io.Use(func(one *socketio.Socket) error {
		if _, has := who.Get(one); has != one.Recovered() {
			t.Errorf("has a value: %v; recovered: %v", has, one.Recovered())
		}
		if !one.Recovered() {
			who.Set(one, person{"ann"})
		}
		return nil
	})
	seen := make(chan string, 2)
	s.io.OnConnect(func(one *socketio.Socket) error {
		v, _ := who.Get(one)
		seen <- v.Name
		return nil
	})
	c, _ := s.caller("")
	if got := <-seen; got != "ann" {
		t.Errorf("OnConnect sees %q", got)
	}
	infos, err := s.io.Sockets(t.Context())
	if err != nil || len(infos) != 1 || string(infos[0].Values["who"]) != `{"Name":"ann"}` {
		t.Errorf("got %+v, %v", infos, err)
	}
	who.Set(s.io.Socket(c.sid), person{"bob"})
	c.lose()
	again, _ := c.back("")
	if got := <-seen; got != "bob" {
		t.Errorf("came back as %q", got)
	}
	who.Delete(s.io.Socket(again.sid))
	if v, has := who.Get(s.io.Socket(again.sid)); has || v != (person{}) {
		t.Errorf("has %v", v)
	}
}

// A value from another node was encoded as JSON; Get does not return a value of another type.
func TestKeysOfOneName(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	socketio.NewKey[json.RawMessage]("who").Set(one, json.RawMessage(`{"Name":"ann"}`))
	for range 2 {
		if v, has := who.Get(one); !has || v.Name != "ann" {
			t.Errorf("got %v, %v", v, has)
		}
	}
	socketio.NewKey[json.RawMessage]("who").Set(one, json.RawMessage(`5`))
	if v, has := who.Get(one); has || v != (person{}) {
		t.Errorf("got %v", v)
	}
	nick.Set(one, "nick")
	if n, has := socketio.NewKey[int]("nick").Get(one); has || n != 0 {
		t.Errorf("got %v", n)
	}
}

// Values set on a socket after it has ended do not affect the recovered socket.
func TestKeysOfASocketThatCameBack(t *testing.T) {
	s := newServer(t, socketio.Config{Recovery: time.Minute})
	defer s.close()
	c, _ := s.caller("")
	old := s.io.Socket(c.sid)
	nick.Set(old, "old")
	c.lose()
	again, _ := c.back("")
	var both sync.WaitGroup
	for _, one := range []*socketio.Socket{old, s.io.Socket(again.sid)} {
		both.Go(func() {
			for range 100 {
				nick.Set(one, one.Transport())
				nick.Delete(one)
			}
		})
	}
	both.Wait()
	nick.Set(s.io.Socket(again.sid), "new")
	nick.Delete(old)
	if got, _ := nick.Get(s.io.Socket(again.sid)); got != "new" {
		t.Errorf("got %q", got)
	}
}

// What a listener does with a value does not disturb those who ask for all values.
func TestKeysOfValuesThatChange(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	counts := socketio.NewKey[map[string]int]("counts")
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	v := map[string]int{}
	counts.Set(one, v)
	var both sync.WaitGroup
	both.Go(func() {
		for range 1000 {
			v["n"]++
		}
		counts.Set(one, v)
	})
	for range 100 {
		s.io.Sockets(t.Context())
	}
	both.Wait()
	if infos, err := s.io.Sockets(t.Context()); err != nil || string(infos[0].Values["counts"]) != `{"n":1000}` {
		t.Errorf("got %+v, %v", infos, err)
	}
}
