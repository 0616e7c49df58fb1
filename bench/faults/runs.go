package main

import (
	"log"
	"slices"
	"syscall"
	"time"

	"echows/bench/internal/cluster"
	"echows/bench/internal/people"
)

// run is one way to break the chat.
type run struct {
	name     string
	fault    func(*stage)
	short    bool // -short does it, too
	lone     bool // breaks a node that keeps its messages itself, not three on a cluster
	database bool
	bare     bool // starts everything itself

	its, others time.Duration // bounds of the longest wait; 0 for none

	needs   func() (missing string)
	prepare func(*stage)              // runs before anything starts
	cleanUp func(*stage)              // runs after everything has ended
	forgets func(people.Message) bool // whether a reader may have seen a message that is not kept
}

const (
	quick = time.Second     // what losing a node or one server of three may cost
	slow  = 8 * time.Second // what losing a leader or a silent server may cost
)

var runs = []run{
	{name: "kill", fault: killNodes, short: true, database: true, its: quick, others: quick},
	{name: "term", fault: restartNodes, short: true, database: true, its: quick, others: quick},
	{name: "leader", fault: killLeader, short: true, database: true, its: slow, others: slow},
	{name: "server", fault: killServer, database: true, its: quick, others: quick},
	{name: "quorum", fault: killTwo, short: true, database: true},
	{name: "all", fault: killAll, database: true},
	{name: "leader-stop", fault: stopLeader, database: true, its: slow, others: slow},
	{name: "silent", fault: silence, short: true, database: true, its: slow, others: slow},
	{name: "other-stop", fault: stopOther, database: true, its: slow, others: slow},
	{name: "cut", fault: cut, database: true, others: quick},
	{name: "hole", fault: freeze(cluster.There, cluster.Back), database: true, others: quick},
	{name: "deaf", fault: freeze(cluster.Back), database: true, others: quick},
	{name: "mute", fault: freeze(cluster.There), database: true, others: quick},
	{name: "no-quorum", fault: startWithoutQuorum, database: true},
	{name: "order", fault: startInAnyOrder, database: true, bare: true},
	{name: "postgres", fault: killPostgres, short: true, database: true, its: quick, others: quick},
	{name: "lone", fault: killLone, short: true, lone: true},
	{name: "disk", fault: fillDisk, short: true, lone: true, needs: needsMount, prepare: mount, cleanUp: unmount},
	{name: "folder", fault: removeFolder, lone: true, database: true, forgets: func(people.Message) bool { return true }},
}

// stream is the name of the chat's stream.
const stream = "CHAT"

// long returns how long a fault lasts: d, or short with -short.
func (s *stage) long(d, short time.Duration) time.Duration {
	if s.short {
		return short
	}
	return d
}

// killNodes kills one node after the other, each with its clients.
func killNodes(s *stage) {
	for place := range s.nodes {
		killed, awaitGone := s.watchPresence(place)
		s.during([]int{place}, func() {
			s.end(place, syscall.SIGKILL)
			killed()
			time.Sleep(time.Second)
		})
		s.start(place)
		s.await(place)
		awaitGone()
		time.Sleep(2 * time.Second)
	}
}

// restartNodes ends and restarts one node after the other, as in a rolling restart.
func restartNodes(s *stage) {
	for place := range s.nodes {
		s.during([]int{place}, func() {
			if took := s.end(place, syscall.SIGTERM); took > 5*time.Second {
				s.blame("node %d took %v to end", place, took)
			}
		})
		s.start(place)
		s.await(place)
		time.Sleep(2 * time.Second)
	}
}

// killLeader kills the server that leads the stream.
func killLeader(s *stage) {
	leader := s.nats.Leader(stream)
	defer s.watchElection(leader)()
	s.during(s.all(), func() {
		cluster.Kill(s.nats.Cmds[leader])
		time.Sleep(s.long(12*time.Second, 8*time.Second))
	})
	s.nats.Start(leader)
	time.Sleep(3 * time.Second)
}

// killServer kills a server that does not lead, if possible one with nodes connected.
func killServer(s *stage) {
	server := s.follower(func(a, b int) bool { return len(s.on(a)) > len(s.on(b)) })
	s.during(s.on(server), func() {
		cluster.Kill(s.nats.Cmds[server])
		time.Sleep(8 * time.Second)
	})
	s.nats.Start(server)
	time.Sleep(3 * time.Second)
}

// follower returns the better of the two servers that do not lead the stream.
func (s *stage) follower(better func(a, b int) bool) int {
	leader := s.nats.Leader(stream)
	a, b := (leader+1)%size, (leader+2)%size
	if better(b, a) {
		return b
	}
	return a
}

// killTwo leaves one server of three, which is no quorum.
func killTwo(s *stage) {
	leader := s.nats.Leader(stream)
	s.during(s.all(), func() {
		cluster.Kill(s.nats.Cmds[leader])
		cluster.Kill(s.nats.Cmds[(leader+1)%size])
		time.Sleep(10 * time.Second)
		s.nats.Start(leader)
		s.nats.Start((leader + 1) % size)
		s.nats.Leader(stream)
	})
	time.Sleep(3 * time.Second)
}

// killAll kills all servers at once.
func killAll(s *stage) {
	s.during(s.all(), func() {
		for _, cmd := range s.nats.Cmds {
			cluster.Kill(cmd)
		}
		time.Sleep(time.Second)
		for i := range size {
			s.nats.Start(i)
		}
		s.nats.Leader(stream)
	})
	time.Sleep(3 * time.Second)
}

// stopLeader stops the process of the server that leads the stream: it falls silent, but no connection ends.
func stopLeader(s *stage) {
	leader := s.nats.Leader(stream)
	defer s.watchElection(leader)()
	s.stopServer(leader, s.all(), 15*time.Second)
}

// stopServer stops one server's process for a while.
func (s *stage) stopServer(server int, hits []int, length time.Duration) {
	s.during(hits, func() {
		cluster.Freeze(s.nats.Cmds[server])
		time.Sleep(s.long(length, 12*time.Second))
		cluster.Thaw(s.nats.Cmds[server])
		time.Sleep(2 * time.Second)
	})
	time.Sleep(2 * time.Second)
}

// silence stops the server that the first node is connected to. It does not lead the stream, so that only the node's
// way of noticing matters.
func silence(s *stage) {
	for try := 0; ; try++ {
		leader := s.nats.Leader(stream)
		for server := range size {
			if hits := s.on(server); server != leader && slices.Contains(hits, 0) {
				s.stopServer(server, hits, 30*time.Second)
				return
			}
		}
		if try == 20 {
			log.Fatal("the server that a node is connected to leads the stream, and will not step down")
		}
		s.nats.StepDown(stream)
		time.Sleep(time.Second)
	}
}

// stopOther stops a server that does not lead the stream, if possible one with no node connected.
func stopOther(s *stage) {
	server := s.follower(func(a, b int) bool { return len(s.on(a)) < len(s.on(b)) })
	s.stopServer(server, s.on(server), 15*time.Second)
}

// cutTime is how long a node is cut off.
const cutTime = 10 * time.Second

// cut closes a node's connections to NATS, and refuses new ones for a while.
func cut(s *stage) {
	s.during([]int{0}, func() {
		for _, p := range s.proxies[0] {
			p.Cut()
		}
		time.Sleep(cutTime)
		for _, p := range s.proxies[0] {
			p.Mend()
		}
		time.Sleep(2 * time.Second)
	})
	time.Sleep(2 * time.Second)
}

// freeze lets nothing pass between a node and NATS for a while, in some directions.
func freeze(directions ...cluster.Direction) func(*stage) {
	return func(s *stage) {
		s.during([]int{0}, func() {
			for _, p := range s.proxies[0] {
				p.Freeze(directions...)
			}
			time.Sleep(cutTime)
			for _, p := range s.proxies[0] {
				p.Thaw()
			}
			time.Sleep(2 * time.Second)
		})
		time.Sleep(2 * time.Second)
	}
}

// startWithoutQuorum starts a node while two servers of three are down, for longer than a start may take.
func startWithoutQuorum(s *stage) {
	leader := s.nats.Leader(stream)
	s.during(s.all(), func() {
		cluster.Kill(s.nats.Cmds[leader])
		cluster.Kill(s.nats.Cmds[(leader+1)%size])
		s.end(0, syscall.SIGTERM)
		s.start(0)
		time.Sleep(70 * time.Second)
		s.nats.Start(leader)
		s.nats.Start((leader + 1) % size)
		s.await(0)
	})
	time.Sleep(3 * time.Second)
}

// startInAnyOrder starts the nodes before any server, then the servers one after the other; then it kills everything
// and starts it in turn.
func startInAnyOrder(s *stage) {
	s.during(s.all(), func() {
		for place := range s.nodes {
			s.start(place)
		}
		for i := range size {
			time.Sleep(3 * time.Second)
			s.nats.Start(i)
		}
		s.settle()
	})
	time.Sleep(3 * time.Second)
	s.during(s.all(), func() {
		for place := range s.nodes {
			s.end(place, syscall.SIGKILL)
			cluster.Kill(s.nats.Cmds[place])
		}
		for i := range size {
			s.start(i)
			time.Sleep(time.Second)
			s.nats.Start(i)
			time.Sleep(time.Second)
		}
		s.settle()
	})
	time.Sleep(3 * time.Second)
}

// killPostgres kills the database for a while: posts do not wait for it, and are copied later.
func killPostgres(s *stage) {
	s.during(nil, func() {
		s.postgres.Kill()
		time.Sleep(s.long(15*time.Second, 5*time.Second))
		s.postgres.Start()
	})
	time.Sleep(3 * time.Second)
}
