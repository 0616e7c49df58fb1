package client

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

// Each connection sends unacknowledged posts again, in order, under their ids.
func TestPostsAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := alone(t, ChatConfig{})
		a, b, d := c.posting(t.Context(), "a"), c.posting(t.Context(), "b"), c.posting(t.Context(), "d")
		c.expectSent() // there is no connection
		c.joined(c.sendTo)
		c.expectSent("a", "b", "d")
		c.says(`{"type":"ack","id":"b","seq":7}`)
		c.expect(b, "7 <nil>")
		c.changed(StateWaiting, 0, nil)
		e := c.posting(t.Context(), "e")
		c.expectSent()
		c.joined(c.sendTo)
		c.expectSent("a", "d", "e")
		c.says(`{"type":"ack","id":"a","seq":6}`)
		c.says(`{"type":"ack","id":"a","seq":6}`) // says nothing new
		c.says(`{"type":"message","seq":9,"id":"d","from":"me","text":"another's"}`)
		c.says(`{"type":"message","seq":10,"id":"d","from":"me","text":"text of d"}`) // as good as an ack
		c.expect(a, "6 <nil>")
		c.expect(d, "10 <nil>")
		c.says(`{"type":"ack","id":"d","seq":10}`)
		c.end()
		c.expect(e, "0 client: not connected: the end")
	})
}

func TestTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := alone(t, ChatConfig{})
		c.joined(c.sendTo)
		var ids []string
		var results []<-chan string
		for i := range 2 * window {
			ids = append(ids, fmt.Sprint(i))
			results = append(results, c.posting(t.Context(), ids[i]))
		}
		c.expectSent(ids[:window]...)
		for i, id := range ids {
			c.says(`{"type":"ack","id":%q,"seq":%d}`, id, i)
			c.expect(results[i], fmt.Sprint(i, " <nil>"))
		}
		c.expectSent(ids[window:]...)
		c.end()
	})
}

func TestAPostThatIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := alone(t, ChatConfig{})
		c.joined(c.sendTo)
		ctx, cancel := context.WithCancel(t.Context())
		a, b := c.posting(ctx, "a"), c.posting(t.Context(), "b")
		c.expect(c.posting(t.Context(), "b"), "0 client: the post was refused: a post with this id is in flight (bad_id)")
		cancel()
		c.expect(a, "0 client: post: context canceled")
		c.expectSent("a", "b")
		c.says(`{"type":"error","code":"bad_id","message":"no"}`) // to a
		c.says(`{"type":"error","code":"bad_id","message":"no"}`)
		c.expect(b, "0 client: the post was refused: no (bad_id)")
		d := c.posting(t.Context(), "d")
		c.says(`{"type":"error","code":"of_tomorrow","message":"no","id":"d"}`)
		c.expect(d, "0 client: the post was refused: no (of_tomorrow)")
		c.end()
	})
}

// A post that was given up in flight takes no place in the window of the next connection.
func TestANewConnectionHasAWholeWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := alone(t, ChatConfig{})
		c.joined(c.sendTo)
		ctx, cancel := context.WithCancel(t.Context())
		for i := range window {
			c.posting(ctx, fmt.Sprint(i))
		}
		last := c.posting(t.Context(), "last")
		cancel()
		c.expectSent("0", "1", "2", "3", "4", "5", "6", "7")
		c.changed(StateWaiting, 0, nil)
		c.joined(c.sendTo)
		c.expectSent("last")
		c.says(`{"type":"error","code":"bad_id","message":"no"}`)
		c.expect(last, "0 client: the post was refused: no (bad_id)")
		c.end()
	})
}

func TestPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := alone(t, ChatConfig{})
		c.joined(c.sendTo)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		a, b := c.posting(ctx, "a"), c.posting(ctx, "b")
		for _, seconds := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			c.expectSent("a", "b")
			c.says(`{"type":"error","code":"unavailable","message":"not now","id":"a"}`)
			c.says(`{"type":"error","code":"rate_limited","message":"not now","id":"b"}`)
			time.Sleep(seconds*time.Second - 1)
			c.expectSent()
			time.Sleep(time.Nanosecond)
		}
		c.expectSent("a", "b")
		c.says(`{"type":"ack","id":"a","seq":1}`)
		c.expect(a, "1 <nil>")
		c.says(`{"type":"error","code":"rate_limited","message":"not now","id":"b"}`)
		time.Sleep(time.Second) // short again
		c.expectSent("b")
		c.says(`{"type":"error","code":"rate_limited","message":"not now","id":"b"}`)
		c.changed(StateWaiting, 0, nil)
		c.joined(c.sendTo) // a new connection has a new limit
		c.expectSent("b")
		<-ctx.Done()
		c.expect(b, "0 client: post: context deadline exceeded")
		c.end()
	})
}

func TestOnePostTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := alone(t, ChatConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		first := c.posting(ctx, "first")
		for i := range mostPosts - 1 {
			c.posting(t.Context(), fmt.Sprint(i))
		}
		brief, cancelBrief := context.WithTimeout(t.Context(), time.Second)
		defer cancelBrief()
		tooMany, next := c.posting(brief, "too many"), c.posting(t.Context(), "next")
		<-brief.Done()
		c.expect(tooMany, "0 client: post: context deadline exceeded")
		has := func(id string) bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return slices.ContainsFunc(c.queue, func(p *post) bool { return p.id == id })
		}
		if has("next") {
			t.Error("more posts are in flight than may be")
		}
		cancel()
		c.expect(first, "0 client: post: context canceled")
		if !has("next") {
			t.Error("there was room for the next")
		}
		c.end()
		c.expect(next, "0 client: not connected: the end")
	})
}

// A server with the chat's limits takes a thousand posts at its own pace, and never closes with 1008.
func TestManyPostsKeepTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := alone(t, ChatConfig{})
		posts, patience := rate.NewLimiter(20, 40), rate.NewLimiter(10, 100)
		var stored atomic.Int64
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case id := <-c.out:
					time.Sleep(5 * time.Millisecond)
					switch {
					case posts.Allow():
						c.says(`{"type":"ack","id":%q,"seq":%d}`, id, stored.Add(1))
					case patience.Allow():
						c.says(`{"type":"error","code":"rate_limited","message":"wait","id":%q}`, id)
					default:
						t.Error("closed with 1008")
					}
				}
			}
		}()
		c.joined(c.sendTo)
		start := time.Now()
		var results []<-chan string
		for i := range mostPosts {
			results = append(results, c.posting(t.Context(), fmt.Sprint(i)))
		}
		for _, r := range results {
			<-r
		}
		if took := time.Since(start); stored.Load() != mostPosts || took > 70*time.Second { // (1000-40)/20 = 48 s
			t.Errorf("%d stored in %v", stored.Load(), took)
		}
		close(stop)
		c.end()
	})
}
