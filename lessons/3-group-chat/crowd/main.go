// Command crowd joins a chat as ten members, posts texts as an eleventh, and says how long anybody had to wait:
//
//	go run ./lessons/3-group-chat/crowd ws://localhost:3000/chat
//	go run ./lessons/3-group-chat/crowd -deaf ws://localhost:3000/chat    # with one more, who reads nothing
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"

	"echows/ws"
)

const (
	listeners = 10
	patience  = 30 * time.Second // without a message, after which nothing more is expected
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "crowd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("crowd", flag.ContinueOnError)
	deaf := flags.Bool("deaf", false, "have one more member, who reads nothing")
	count := flags.Int("n", 5000, "`texts` to post, of 2000 characters each")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *count < 1 {
		return errors.New("usage: go run ./lessons/3-group-chat/crowd [-deaf] [-n texts] ws://localhost:3000/chat")
	}
	url := flags.Arg(0)

	if *deaf {
		end := make(chan struct{})
		defer close(end)
		welcome := make(chan struct{})
		s, err := join(ctx, url, welcome, func(s *ws.Socket) error {
			s.OnMessage(func(ws.Message) error { close(welcome); <-end; return nil }) // what follows is read after this
			return nil
		})
		if err != nil {
			return err
		}
		defer s.Close(ws.CloseGoingAway, "")
	}
	var all []*listener
	var sockets []*ws.Socket
	defer func() { leave(sockets) }()
	for range listeners {
		l := &listener{want: *count, welcome: make(chan struct{}), done: make(chan struct{})}
		s, err := join(ctx, url, l.welcome, l.listen)
		if err != nil {
			return err
		}
		sockets = append(sockets, s)
		all = append(all, l)
	}

	begin := time.Now()
	poster, err := post(ctx, url, *count)
	if err != nil {
		return err
	}
	sockets = append(sockets, poster) // it stays until all is heard: a server may drop what it has not read of a member that left
	var silence time.Duration
	for _, l := range all {
		if err := l.wait(ctx); err != nil {
			return err
		}
		silence = max(silence, l.silence)
	}
	fmt.Printf("%d members heard %d messages each, in %.1fs; the longest silence was %.1fs\n",
		listeners, *count, time.Since(begin).Seconds(), silence.Seconds())
	return nil
}

// join connects, and waits until the server has said something: then it counts the connection as a member.
func join(ctx context.Context, url string, welcome <-chan struct{}, h func(*ws.Socket) error) (*ws.Socket, error) {
	s, err := ws.Dial(ctx, url, ws.DialConfig{}, h)
	if err != nil {
		return nil, err
	}
	select {
	case <-welcome:
		return s, nil
	case <-s.Done():
		return nil, errors.New("the connection ended before anything came")
	case <-time.After(patience):
		err = errors.New("the server does not welcome its members; see step 1 of the lesson")
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.Close(ws.CloseNormal, "")
	return nil, err
}

// leave closes sockets, and waits until the server has said goodbye to each, so that its log has 1000 for them.
func leave(sockets []*ws.Socket) {
	for _, s := range sockets {
		s.Close(ws.CloseNormal, "")
	}
	for _, s := range sockets {
		<-s.Done()
	}
}

// post posts all texts as one more member, and returns when they are on their way.
func post(ctx context.Context, url string, count int) (*ws.Socket, error) {
	s, err := ws.Dial(ctx, url, ws.DialConfig{WriteTimeout: 2 * patience}, func(*ws.Socket) error { return nil })
	if err != nil {
		return nil, err
	}
	message := ws.Message{Opcode: ws.Text, Data: slices.Concat([]byte(`{"from":"crowd","text":"`), []byte(strings.Repeat("x", 2000)), []byte(`"}`))}
	for range count {
		if err := s.SendContext(ctx, message); err != nil {
			s.Close(ws.CloseNormal, "")
			return nil, fmt.Errorf("post: %w", err)
		}
	}
	return s, nil
}

// listener counts what one member hears.
type listener struct {
	want    int
	welcome chan struct{} // closed when it is a member
	done    chan struct{} // closed when all was heard, or the connection has ended

	mu      sync.Mutex    // guards the rest
	heard   int           // the welcome is not counted
	last    time.Time     // when something was heard
	silence time.Duration // the longest between two messages
	end     error
}

func (l *listener) listen(s *ws.Socket) error {
	welcomed := false
	var once sync.Once
	finish := func() { once.Do(func() { close(l.done) }) }
	s.OnMessage(func(ws.Message) error {
		if !welcomed {
			welcomed = true
			close(l.welcome)
			return nil
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		now := time.Now()
		if l.heard++; l.heard > 1 {
			l.silence = max(l.silence, now.Sub(l.last))
		}
		l.last = now
		if l.heard == l.want {
			finish()
		}
		return nil
	})
	s.OnClose(func(code ws.CloseCode, reason string) {
		l.mu.Lock()
		l.end = &ws.CloseError{Code: code, Reason: reason}
		l.mu.Unlock()
		finish()
	})
	return nil
}

// wait waits until all was heard. It gives up when nothing more comes.
func (l *listener) wait(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	begin := time.Now()
	for {
		select {
		case <-l.done:
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.heard < l.want {
				return fmt.Errorf("a member heard %d of %d messages, and then: %w", l.heard, l.want, l.end)
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case now := <-tick.C:
			l.mu.Lock()
			heard, last := l.heard, l.last
			l.mu.Unlock()
			if now.Sub(last) > patience && now.Sub(begin) > patience {
				return fmt.Errorf("a member heard %d of %d messages, and nothing for %v", heard, l.want, patience)
			}
		}
	}
}
