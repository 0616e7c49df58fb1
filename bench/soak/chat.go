package main

import (
	"fmt"
	"log"
	"slices"
	"strings"
	"sync"
	"time"

	"echows/bench/internal/people"
)

// The second lesson: writers that post again until they have the acknowledgement, and readers, most of which leave every
// few seconds and come back to what they missed. Attackers are in the room "lobby", too.

const (
	lobby     = "lobby"
	chatPause = 100 * time.Millisecond
)

var chatRooms = []string{"soak-red", "soak-green", "soak-blue", lobby}

const (
	chatWriters = 4
	chatReaders = 8
)

func (c *company) chat() {
	k := c.kind("the chat", chatWriters+chatReaders)
	url := []string{"http://" + c.addr}
	var writing, reading sync.WaitGroup
	var writers []*people.Writer
	var readers []*people.Reader
	for i := range chatWriters {
		w := &people.Writer{Person: people.Person{Name: fmt.Sprint(c.name, "-writer-", i), Address: fmt.Sprint("10.0.1.", i+1)},
			Room: chatRooms[i%len(chatRooms)], Nodes: url, Pace: chatPause}
		writers = append(writers, w)
		writing.Go(func() { w.Run(c.ctx, c.enough) })
	}
	for i := range chatReaders {
		room := chatRooms[i%len(chatRooms)]
		r := &people.Reader{Person: people.Person{Name: fmt.Sprint(c.name, "-reader-", i), Address: fmt.Sprint("10.0.2.", i+1)},
			Room: room, Nodes: url, Roams: room != lobby} // attackers may fill the lobby's history in the meantime
		readers = append(readers, r)
		reading.Go(func() { r.Run(c.ctx) })
	}
	c.all.Go(reading.Wait)
	c.ends = append(c.ends, func() {
		late := time.AfterFunc(answerTime, c.over) // for posts that are never answered
		defer late.Stop()
		writing.Wait()
		people.Await(c.ctx, writers, readers, answerTime)
		kept, err := readers[0].StoredOn(url[0], chatRooms)
		if err != nil && c.ctx.Err() == nil {
			k.fails(err)
		}
		c.over()
		reading.Wait()
		people.Close()
		k.judge(writers, readers, kept, c.name)
	})
}

// judge compares what was acknowledged with what is still kept, and with what each reader saw.
func (k *kind) judge(writers []*people.Writer, readers []*people.Reader, kept map[string]people.Stored, name string) {
	var v people.Verdict
	foreign := func(m people.Message) bool { return !strings.HasPrefix(m.ID, name) }
	rooms := map[string]people.Stored{}
	for _, w := range writers {
		for _, a := range w.Attempts {
			if !a.Acked {
				k.broken.Add(1)
				k.why.Add("a post: "+a.Told, 1)
			}
		}
		for _, p := range w.Posts {
			if !p.Acked.IsZero() {
				rooms[p.Room] = append(rooms[p.Room], people.Message{Seq: p.Seq, ID: p.ID})
			}
		}
	}
	ours := map[string]people.Stored{} // two turns of an attack use the same ids
	for room, messages := range kept {
		ours[room] = slices.DeleteFunc(slices.Clone(messages), foreign)
	}
	v.JudgeKept(ours)
	v.JudgePosts(writers, kept, func(p *people.Post) bool {
		return len(kept[p.Room]) > 0 && p.Seq < kept[p.Room][0].Seq // is too old to be kept
	}, func(t time.Time) string { return t.Format(time.TimeOnly) })
	for _, r := range readers {
		v.JudgeReader(r, r.Promised(rooms[r.Room]), foreign) // a gap is counted as broken
		_, messages := r.Counts()
		k.heard.Add(int64(messages))
	}
	k.sent.Add(int64(v.Acked + v.Pending))
	for _, one := range []struct {
		n   int
		why string
	}{{v.Lost, "lost"}, {v.Twice, "twice"}, {v.Order, "out of order"}, {v.Missing, "missing"}, {v.Different, "different"}, {v.Pending, "never acknowledged"}} {
		if one.n > 0 {
			k.loses(int64(one.n), one.why)
		}
	}
	if v.Incomplete > 0 { // a reader was away for so long that its room had discarded what it missed
		k.broken.Add(int64(v.Incomplete))
		k.why.Add("a history with a gap", v.Incomplete)
	}
	for _, sample := range v.Samples {
		log.Print(sample)
	}
}
