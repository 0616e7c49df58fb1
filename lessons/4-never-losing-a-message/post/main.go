// Command post posts messages into a room of the chat, each under its id until it is acknowledged, whatever happens to the
// server meanwhile. At the end it reads what the room has, and counts:
//
//	go run ./lessons/4-never-losing-a-message/post http://localhost:3000
//
// With -plain it says them in /ws/broadcast instead, where nothing is acknowledged and nothing is kept, and counts what
// another connection has heard.
//
// The exit code is 1 if something was lost, or is there twice.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"echows/client"
)

const (
	pace      = time.Second / 20 // between two messages: as many a second as a server takes of one by default
	readTime  = 30 * time.Second // for what the room has, or for what is still under way
	mostPosts = 1000             // as many messages as a room keeps by default
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "post:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("post", flag.ContinueOnError)
	plain := flags.Bool("plain", false, "say the messages in /ws/broadcast, without ids and acknowledgements")
	count := flags.Int("n", 400, "`messages` to post")
	room := flags.String("room", "count-"+strings.ToLower(rand.Text()[:6]), "`name` of the room; it should be empty")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *count < 1 || *count > mostPosts {
		return fmt.Errorf("usage: go run ./lessons/4-never-losing-a-message/post [-plain] [-n 1…%d] http://localhost:3000", mostPosts)
	}
	if *plain {
		return say(ctx, flags.Arg(0), *count)
	}
	return post(ctx, flags.Arg(0), *room, *count)
}

// post posts into a room, and counts.
func post(ctx context.Context, server, room string, count int) error {
	fmt.Printf("posting %d messages to room %s\n", count, room)
	chat := client.JoinChat(ctx, server, room, client.ChatConfig{Name: "post"})
	defer func() { chat.Close(); <-chat.Done() }()

	var posts sync.WaitGroup
	acknowledged := &tally{seqs: make(map[string]uint64)}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := range count {
		posts.Go(func() {
			id := fmt.Sprint("post-", i+1)
			seq, err := chat.PostID(ctx, id, fmt.Sprint("message ", i+1))
			acknowledged.add(id, seq, err)
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	posts.Wait()

	stored, err := read(ctx, server, room)
	if err != nil {
		return err
	}
	return acknowledged.judge(count, stored)
}

// tally is what was acknowledged.
type tally struct {
	mu     sync.Mutex        // guards the rest
	seqs   map[string]uint64 // by id
	failed error             // why a post was not acknowledged
}

func (t *tally) add(id string, seq uint64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.failed = err
		return
	}
	if t.seqs[id] = seq; len(t.seqs)%50 == 0 {
		fmt.Println(len(t.seqs), "are acknowledged")
	}
}

// judge compares what was acknowledged with what is stored. No post is under way any more.
func (t *tally) judge(count int, stored []client.Message) error {
	times := make(map[string]int)
	for _, m := range stored {
		times[m.ID]++
	}
	twice, lost := 0, 0
	for _, n := range times {
		if n > 1 {
			twice++
		}
	}
	for id := range t.seqs {
		if times[id] == 0 {
			lost++
		}
	}
	fmt.Printf("%d posted, %d acknowledged, %d stored, %d twice, %d lost\n", count, len(t.seqs), len(stored), twice, lost)
	if twice > 0 || lost > 0 {
		return errors.New("the promise is broken")
	}
	return t.failed
}

// read returns all that a room has.
func read(ctx context.Context, server, room string) ([]client.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	var stored []client.Message
	done := make(chan struct{})
	var once sync.Once
	chat := client.JoinChat(ctx, server, room, client.ChatConfig{
		Name:  "count",
		After: new(uint64(0)), // everything from the beginning, perhaps page by page
		OnHistory: func(h client.History) {
			stored = append(stored, h.Messages...)
			if !h.More {
				once.Do(func() { close(done) })
			}
		},
	})
	var err error
	select {
	case <-done:
	case <-chat.Done():
		err = fmt.Errorf("read room %s: %w", room, chat.Err())
	}
	chat.Close()
	<-chat.Done() // nothing is appended any more
	return stored, err
}
