package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"echows/socketio"
)

func TestTheServerAsks(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(func(*socketio.Socket) error { return nil })
	p, id := s.connect()
	socket := s.io.Socket(id)
	type result struct {
		args []socketio.Arg
		err  error
	}
	ask := func(ctx context.Context) chan result {
		done := make(chan result, 1)
		go func() {
			args, err := socket.EmitWithAck(ctx, "question", 6)
			done <- result{args, err}
		}()
		return done
	}
	done := ask(t.Context())
	p.expect(`421["question",6]`)
	p.send(`43999[1]`, `431[42,"x"]`, `431["twice"]`)
	var n int
	if r := <-done; r.err != nil || len(r.args) != 2 || r.args[0].Decode(&n) != nil || n != 42 {
		t.Errorf("answered with %+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done = ask(ctx)
	p.expect(`422["question",6]`)
	cancel()
	if r := <-done; !errors.Is(r.err, context.Canceled) {
		t.Errorf("given up with %v", r.err)
	}
	done = ask(t.Context())
	p.expect(`423["question",6]`)
	p.conn.Close()
	if r := <-done; !errors.Is(r.err, socketio.ErrClosed) {
		t.Errorf("ended with %v", r.err)
	}
}

func TestAnAcknowledgementIsGivenOnce(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	s.io.OnConnect(func(one *socketio.Socket) error {
		one.On("ask", func(e socketio.Event) error {
			if e.Ack(func() {}) == nil {
				t.Error("a function was sent")
			}
			e.Ack("first")
			return e.Ack("second")
		})
		one.On("none", func(e socketio.Event) error {
			if e.WantsAck() {
				t.Error("it wants one")
			}
			return e.Ack("nobody asked")
		})
		return nil
	})
	c, _ := s.caller("")
	c.post(`421["ask"]`, `42["none"]`, `422["ask"]`)
	if got := c.get(); !slices.Equal(got, []string{`431["first"]`, `432["first"]`}) {
		t.Errorf("got %v", got)
	}
}

func TestTooManyAcknowledgementsOwed(t *testing.T) {
	s := newServer(t, socketio.Config{Limits: socketio.Limits{Acks: 2}})
	defer s.close()
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() { one.EmitWithAck(ctx, "ask") })
	}
	for asked := 0; asked < 2; {
		asked += len(c.get())
	}
	if _, err := one.EmitWithAck(t.Context(), "third"); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the third: %v", err)
	}
	var missing *socketio.MissingError
	if _, err := s.io.EmitWithAck(t.Context(), "third"); !errors.As(err, &missing) || missing.Missing != 1 || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the third: %v", err)
	}
	cancel()
	asking.Wait()
	for range 3 {
		s.io.EmitWithAck(ctx, "given up")
	}
	c.get()
	go func() { c.get(); c.post("438[]") }()
	if _, err := one.EmitWithAck(t.Context(), "again"); err != nil {
		t.Errorf("those that were given up count: %v", err)
	}
}

func TestTypedAcknowledgements(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	one := s.io.Socket(c.sid)
	for i, want := range []string{`[42]`, `[]`, `["x"]`} {
		answered := make(chan bool)
		go func() {
			defer close(answered)
			c.get()
			c.post(fmt.Sprintf("43%d%s", i+1, want))
		}()
		n, err := socketio.EmitWithAck[int](t.Context(), one, "ask")
		if <-answered; (n == 42) != (i == 0) || (err != nil) != (i == 2) {
			t.Errorf("%s is %d, %v", want, n, err)
		}
	}
	one.Disconnect(false)
	if _, err := socketio.EmitWithAck[int](t.Context(), one, "ask"); !errors.Is(err, socketio.ErrClosed) {
		t.Error(err)
	}
}

func TestAckTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{AckTimeout: 3 * time.Second})
		defer s.close()
		c, _ := s.caller("")
		begin := time.Now()
		_, err := s.io.Socket(c.sid).EmitWithAck(t.Context(), "ask")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		_, err = s.io.EmitWithAck(t.Context(), "ask all")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 6*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		s.io.Socket(c.sid).EmitWithAck(ctx, "ask")
		if time.Since(begin) != 11*time.Second {
			t.Errorf("its own deadline after %v", time.Since(begin))
		}
		c.post(`431["late"]`, `433["late"]`)
		if c.get(); !s.io.Socket(c.sid).Connected() {
			t.Error("a late acknowledgement ends the socket")
		}
	})
}

// Of four clients, two answer, one disconnects and one does not answer.
func TestManyAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, socketio.Config{Recovery: time.Minute})
		defer s.close()
		var callers []*caller
		for range 5 {
			c, _ := s.caller("")
			callers = append(callers, c)
			s.io.Socket(c.sid).Join("room")
		}
		type result struct {
			answers []socketio.Answer
			err     error
		}
		ask := func(to socketio.Emitter) chan result {
			done := make(chan result, 1)
			go func() {
				answers, err := to.EmitWithAck(t.Context(), "ask", []byte{7})
				done <- result{answers, err}
			}()
			synctest.Wait()
			return done
		}
		done := ask(s.io.To("room").Except(callers[4].sid))
		for i, c := range callers[:4] {
			if got := c.get(); len(got) != 2 || got[0] != `451-1["ask",{"_placeholder":true,"num":0}]` || got[1] != "bBw==" {
				t.Errorf("%d got %v", i, got)
			}
		}
		callers[0].post(`431["one"]`, `431["twice"]`)
		callers[1].post(`461-1[{"_placeholder":true,"num":0}]`, "bAQID")
		callers[2].lose()
		callers[4].post(`431["not asked"]`)
		begin := time.Now()
		r := <-done
		var missing *socketio.MissingError
		if !errors.As(r.err, &missing) || missing.Missing != 2 || !errors.Is(r.err, context.DeadlineExceeded) || time.Since(begin) != 10*time.Second {
			t.Errorf("%v after %v", r.err, time.Since(begin))
		}
		if len(r.answers) != 2 || r.answers[0].Socket != callers[0].sid || r.answers[1].Socket != callers[1].sid || !r.answers[1].Args[0].IsBinary() {
			t.Errorf("answered with %v", r.answers)
		}
		done = ask(s.io.Except(callers[3].sid, callers[4].sid)) // returns as soon as all have answered
		for _, c := range callers[:2] {
			c.get()
			c.post(`432[]`)
		}
		if r := <-done; r.err != nil || len(r.answers) != 2 || time.Since(begin) != 10*time.Second {
			t.Errorf("%v, %v after %v", r.answers, r.err, time.Since(begin))
		}
		if again, missed := callers[2].back(""); again.sid != callers[2].sid || len(missed) != 0 {
			t.Errorf("who came back missed %v", missed)
		}
		if answers, err := s.io.To("nobody").EmitWithAck(t.Context(), "ask"); len(answers) != 0 || err != nil || time.Since(begin) != 10*time.Second {
			t.Errorf("%v, %v", answers, err)
		}
	})
}

// Long acknowledgements count as missing once they fill the room for them; short ones after them do, too.
func TestLongAcknowledgements(t *testing.T) {
	s := newServer(t, socketio.Config{Limits: socketio.Limits{AckBytes: 1000}})
	defer s.close()
	var all []*caller
	for range 3 {
		c, _ := s.caller("")
		all = append(all, c)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		var missing *socketio.MissingError
		answers, err := s.io.EmitWithAck(t.Context(), "ask")
		if len(answers) != 1 || answers[0].Socket != all[0].sid || !errors.As(err, &missing) || missing.Missing != 2 || !strings.Contains(err.Error(), "AckBytes") {
			t.Errorf("%d answers, %v", len(answers), err)
		}
	}()
	for i, answer := range [][]string{{`431["` + strings.Repeat("x", 900) + `"]`}, {`461-1[{"_placeholder":true,"num":0}]`, "b" + strings.Repeat("AQID", 25)}, {`431[]`}} {
		all[i].get()
		all[i].post(answer...)
	}
	<-done
	if n := s.metrics()[`limits_reached_total{limit="socketio_ack_bytes"}`]; n != 1 {
		t.Errorf("the metrics are %v", s.metrics())
	}
}

// A client that leaves is the cause of a missing acknowledgement.
func TestAnAcknowledgementOfAClientThatLeft(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	done := make(chan error)
	go func() {
		_, err := s.io.EmitWithAck(t.Context(), "ask")
		done <- err
	}()
	c.get()
	c.lose()
	if err := <-done; !errors.Is(err, socketio.ErrClosed) || errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
