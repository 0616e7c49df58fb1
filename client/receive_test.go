package client

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

// A post that is in the history is not sent again.
func TestTheHistoryAcknowledges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := alone(t, ChatConfig{})
		c.name = "me"
		a, b := c.posting(t.Context(), "a"), c.posting(t.Context(), "b")
		c.opened(nil)
		c.says(`{"type":"history","complete":true,"more":true,"messages":[{"seq":3,"id":"a","from":"another","text":"text of a"}]}`)
		c.says(`{"type":"history","complete":true,"more":true,"messages":[{"seq":4,"id":"b","from":"me","text":"text of b"}]}`)
		c.expectSent()
		c.expect(b, "4 <nil>")
		c.joined(c.sendTo)
		c.expectSent("a")
		c.says(`{"type":"ack","id":"a","seq":5}`)
		c.expect(a, "5 <nil>")
		c.end()
	})
}

func TestHistoriesComeInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		c := alone(t, ChatConfig{
			After:      new(uint64(2)),
			OnMessage:  func(m Message) { log = append(log, fmt.Sprint(m.Seq)) },
			OnHistory:  func(h History) { log = append(log, fmt.Sprint(len(h.Messages), h.Complete, h.More)) },
			OnPresence: func(n int) { log = append(log, fmt.Sprint(n, " here")) },
			OnPeople:   func(people []Person) { log = append(log, fmt.Sprint(people)) },
		})
		expect := func(want ...string) {
			t.Helper()
			if !slices.Equal(log, want) {
				t.Errorf("got %q, want %q", log, want)
			}
			log = nil
		}
		page := func(complete, more bool, seqs ...uint64) {
			var all []Message
			for _, seq := range seqs {
				all = append(all, Message{Seq: seq})
			}
			data, _ := json.Marshal(all)
			c.says(`{"type":"history","messages":%s,"complete":%v,"more":%v}`, data, complete, more)
		}
		c.opened(nil)
		page(true, true, 2, 3, 5)
		page(true, false, 5, 6)
		c.says(`{"type":"message","seq":6}`)
		c.says(`{"type":"message","seq":8}`)
		c.says(`{"type":"presence","count":3}`)
		c.says(`{"type":"presence","count":2,"people":[{"name":"ana","mark":"k3f7"},{"name":"ana","mark":"q2xa"}]}`)
		c.says(`{"type":"presence","count":0,"people":[]}`)
		c.says(`{"type":"something new"}`)
		c.says(`nonsense`)
		expect("2 true true", "3", "5", "1 true false", "6", "8", "3 here", "2 here", "[{ana k3f7} {ana q2xa}]", "0 here", "[]")

		c.opened(nil) // away for too long
		page(false, true, 20)
		page(false, false, 21)
		expect("1 false true", "20", "1 false false", "21")

		c.opened(nil) // the server has lost all, and counts anew
		page(false, true, 3)
		page(false, false, 4)
		c.says(`{"type":"message","seq":5}`)
		expect("1 false true", "3", "1 false false", "4", "5")

		c.opened(nil)
		page(false, false)
		c.says(`{"type":"message","seq":1}`)
		expect("0 false false", "1")
		c.end()
	})
}
