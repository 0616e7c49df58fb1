package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"echows/bench/internal/cluster"
)

// size is how many nodes there are, unless a run has a lone one.
const size = cluster.Size

// stage is what one run breaks. Its methods are for the run's goroutine, unless they say otherwise.
type stage struct {
	*harness
	run      run
	temp     string
	nats     *cluster.NATS // nil for a lone node
	proxies  [][]*cluster.Proxy
	nodes    []*node
	data     string // of a lone node
	database string // its URL, or ""

	faults    []fault
	elections []election
	removed   span            // the time in which there was no data folder
	listed    []time.Duration // how long people on killed nodes were still in lists of who is there

	mu    sync.Mutex
	wrong []string // what should never happen; guarded by mu
}

// fault is a period in which something was broken.
type fault struct {
	nodes    []int // whose clients it hits
	from, to time.Time
}

// node is one process of ours, and its place.
type node struct {
	place int
	url   string
	words []string
	log   string

	mu      sync.Mutex // guards the rest
	cmd     *exec.Cmd
	ended   chan struct{} // closed when cmd is
	meant   bool          // to end
	watcher sync.WaitGroup
}

func (h *harness) newStage(one run) *stage {
	temp, err := os.MkdirTemp(h.temp, one.name+"-")
	if err != nil {
		log.Fatal(err)
	}
	s := &stage{harness: h, run: one, temp: temp}
	if one.database {
		s.database = h.postgres.NewDatabase()
	}
	count := 1
	if !one.lone {
		s.nats = cluster.NewNATS(h.nats, temp, true)
		s.nats.Logs = h.keep
		count = size
	}
	for place, addr := range cluster.FreeAddrs(count) {
		n := &node{place: place, url: "http://" + addr, log: filepath.Join(temp, fmt.Sprint("node", place, ".log"))}
		data := filepath.Join(temp, fmt.Sprint("data", place))
		n.words = []string{"-addr", addr, "-secret", "of the faults' own", "-trusted-proxies", "127.0.0.1/32", "-keep-messages", "10000", "-data", data}
		if s.database != "" {
			n.words = append(n.words, "-database", s.database)
		}
		if one.lone {
			s.data = data
		} else {
			n.words = append(n.words, "-nats", s.ways(place))
		}
		s.nodes = append(s.nodes, n)
	}
	if one.prepare != nil {
		one.prepare(s)
	}
	return s
}

// ways starts a node's own proxies to the NATS servers, and returns their URLs.
func (s *stage) ways(place int) string {
	var urls []string
	var all []*cluster.Proxy
	for _, addr := range s.nats.Addrs {
		p := cluster.StartProxy(addr)
		all, urls = append(all, p), append(urls, p.URL())
	}
	s.proxies = append(s.proxies, all)
	return strings.Join(urls, ",")
}

// startAll starts everything, in an order in which nothing has to wait.
func (s *stage) startAll() {
	if s.nats != nil {
		for i := range size {
			s.nats.Start(i)
		}
		s.nats.Meet()
	}
	for _, n := range s.nodes {
		s.start(n.place)
		s.await(n.place)
	}
}

// start starts a node, and restarts it after a second whenever it exits by itself, as a service manager does.
func (s *stage) start(place int) {
	n := s.nodes[place]
	n.mu.Lock()
	defer n.mu.Unlock()
	s.startLocked(n)
}

func (s *stage) startLocked(n *node) {
	out, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	defer out.Close()
	n.cmd = exec.Command(s.node, n.words...)
	n.cmd.Stderr = out
	n.meant, n.ended = false, make(chan struct{})
	if err := cluster.Start(n.cmd); err != nil {
		log.Fatal(err)
	}
	n.watcher.Add(1)
	go s.watch(n, n.cmd, n.ended)
}

// watch waits for a process to end.
func (s *stage) watch(n *node, cmd *exec.Cmd, ended chan struct{}) {
	defer n.watcher.Done()
	cmd.Wait()
	close(ended)
	n.mu.Lock()
	meant := n.meant
	n.mu.Unlock()
	if meant {
		return
	}
	s.blame("node %d ended by itself (%v): %s", n.place, cmd.ProcessState, lastLine(n.log))
	time.Sleep(time.Second)
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.meant {
		s.startLocked(n)
	}
}

// end ends a node with a signal, waits, and returns how long that took.
func (s *stage) end(place int, with syscall.Signal) time.Duration {
	n, begun := s.nodes[place], time.Now()
	n.mu.Lock()
	n.meant = true
	cmd, ended := n.cmd, n.ended
	n.mu.Unlock()
	if cmd == nil {
		return 0
	}
	cmd.Process.Signal(with)
	select {
	case <-ended:
	case <-time.After(cluster.Patience):
		s.blame("node %d does not end; its log has the goroutines' stacks", place)
		cmd.Process.Signal(syscall.SIGQUIT)
		late := time.AfterFunc(2*time.Second, func() { cmd.Process.Kill() })
		<-ended
		late.Stop()
	}
	return time.Since(begun)
}

// blame notes something that should never happen. Any goroutine may call it.
func (s *stage) blame(format string, v ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Sprintf(format, v...))
}

// during notes a fault that hits the clients of some nodes for as long as f takes.
func (s *stage) during(nodes []int, f func()) {
	from := time.Now()
	f()
	s.faults = append(s.faults, fault{nodes, from, time.Now()})
}

// all returns the places of all nodes.
func (s *stage) all() (places []int) {
	for place := range s.nodes {
		places = append(places, place)
	}
	return places
}

// on returns the places of the nodes that are connected to a NATS server.
func (s *stage) on(server int) (places []int) {
	for place, ways := range s.proxies {
		if ways[server].Conns() > 0 {
			places = append(places, place)
		}
	}
	return places
}

// await waits until a node is ready, and reports whether it is.
func (s *stage) await(place int) bool {
	var last string
	for end := time.Now().Add(cluster.Patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		sample := askReady(s.nodes[place])
		if last = sample.said; sample.ready {
			return true
		}
	}
	s.blame("node %d is not ready after %v: %s", place, cluster.Patience, last)
	return false
}

// settle waits until all nodes are ready.
func (s *stage) settle() {
	for _, n := range s.nodes {
		s.await(n.place)
	}
}

func (s *stage) stop() {
	for _, n := range s.nodes {
		s.end(n.place, syscall.SIGKILL)
		n.watcher.Wait()
	}
	for _, p := range slices.Concat(s.proxies...) {
		p.Close()
	}
	if s.nats != nil {
		s.nats.Stop()
	}
	if s.run.cleanUp != nil {
		s.run.cleanUp(s)
	}
}

// complaints returns what was wrong, each once, and lines that nodes should never log.
func (s *stage) complaints() (all []string) {
	for _, one := range s.wrong {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	for _, n := range s.nodes {
		text, _ := os.ReadFile(n.log)
		for _, line := range strings.Split(string(text), "\n") {
			if strings.Contains(line, "panic") || strings.Contains(line, "DATA RACE") || strings.Contains(line, "did not end in time") {
				all = append(all, fmt.Sprintf("node %d says: %s", n.place, line))
			}
		}
	}
	return all
}

func lastLine(name string) string {
	text, _ := os.ReadFile(name)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// sample is what a node said about its readiness.
type sample struct {
	at    time.Time // when it had said so
	ready bool
	said  string
}

var readyClient = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func askReady(n *node) sample {
	res, err := readyClient.Get(n.url + "/readyz")
	if err != nil {
		return sample{time.Now(), false, "no answer"}
	}
	defer res.Body.Close()
	body := make([]byte, 512)
	k, _ := res.Body.Read(body)
	return sample{time.Now(), res.StatusCode == http.StatusOK, strings.TrimSpace(string(body[:k]))}
}

// failed reports whether anything happened that never should.
func (s *stage) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.wrong) > 0
}
