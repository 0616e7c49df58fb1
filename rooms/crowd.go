package rooms

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"echows/socketio"
)

// announcement tells who came or who left.
type announcement struct {
	Text string `json:"text"`
}

// stats are sent to everyone when they change.
type stats struct {
	Clients int `json:"clients"` // over all nodes
}

const (
	crowdPause = time.Second     // between two updates
	countTime  = 2 * time.Second // for other nodes to send their counts
	mostNamed  = 3               // people named in one announcement
)

// crowd tells a namespace who came, who left, and how many people there are: immediately after a quiet time, and then at
// most once a second, so that a flood of arrivals causes no more than three events a second for everyone else. Each node has
// its own crowd, which tells the people of all nodes: arrivals on three nodes cause up to nine events a second.
type crowd struct {
	namespace *socketio.Namespace

	mu      sync.Mutex
	came    flock
	went    flock
	newest  string      // the socket id of the last person who came
	changed bool        // since the last update
	timer   *time.Timer // for the next update; nil while nothing changes
	ended   bool        // no more updates are sent
	telling sync.WaitGroup
}

// flock is a group of people: a few of their names, and their number.
type flock struct {
	names []string // in quotation marks, which names cannot contain: so a person named "bo left" cannot fake an announcement
	count int
}

func (f *flock) add(name string) {
	if f.count++; f.count <= mostNamed {
		f.names = append(f.names, "“"+name+"”")
	}
}

// did returns a sentence such as: “ana”, “bo”, “cem” and 7 others left.
func (f *flock) did(what string) string {
	switch others := f.count - len(f.names); {
	case others == 1:
		return fmt.Sprintf("%s and 1 other %s", strings.Join(f.names, ", "), what)
	case others > 1:
		return fmt.Sprintf("%s and %d others %s", strings.Join(f.names, ", "), others, what)
	case f.count == 1:
		return f.names[0] + " " + what
	}
	last := len(f.names) - 1
	return fmt.Sprintf("%s and %s %s", strings.Join(f.names[:last], ", "), f.names[last], what)
}

func (c *crowd) joined(name, id string) {
	c.note(func() {
		c.came.add(name)
		c.newest = id
	})
}

func (c *crowd) left(name string) { c.note(func() { c.went.add(name) }) }

// recount tells everyone how many people there are.
func (c *crowd) recount() { c.note(func() {}) }

func (c *crowd) note(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	c.changed = true
	if c.timer == nil {
		c.tellLocked(0)
	}
}

// tellLocked sets the timer for the next update, unless the crowd has ended.
func (c *crowd) tellLocked(after time.Duration) {
	if c.ended {
		return
	}
	c.telling.Add(1)
	c.timer = time.AfterFunc(after, func() {
		defer c.telling.Done()
		c.tell()
	})
}

// end stops all updates, and waits for one in progress.
func (c *crowd) end() {
	c.mu.Lock()
	c.ended = true
	if c.timer != nil && c.timer.Stop() {
		c.telling.Done()
	}
	c.mu.Unlock()
	c.telling.Wait()
}

// tell sends everyone an update if something has changed, and sets the timer for the next one.
func (c *crowd) tell() {
	c.mu.Lock()
	if !c.changed {
		c.timer = nil
		c.mu.Unlock()
		return
	}
	came, went, newest := c.came, c.went, c.newest
	c.came, c.went, c.changed = flock{}, flock{}, false
	c.tellLocked(crowdPause)
	c.mu.Unlock()

	n := c.namespace
	if came.count == 1 {
		n.Except(newest).Emit("announcements", announcement{came.did("joined")}) // the newcomer need not be told
	} else if came.count > 1 {
		n.Emit("announcements", announcement{came.did("joined")})
	}
	if went.count > 0 {
		n.Emit("announcements", announcement{went.did("left")})
	}
	ctx, cancel := context.WithTimeout(context.Background(), countTime)
	defer cancel()
	clients, err := n.Len(ctx)
	if err != nil {
		slog.Warn("not all nodes reported how many are connected", "namespace", n.Name(), "error", err)
	}
	n.Emit("stats", stats{clients})
}
