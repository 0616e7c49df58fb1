// Package broker stores messages durably, and connects the nodes. It is the only package that knows NATS, and it
// knows no sockets.
//
//	b, err := broker.Open(ctx, broker.Config{Dir: "data"})  // a NATS server inside the process
//	l, err := b.OpenLog(ctx, broker.LogConfig{Name: "chat"}) // one stream: topics with sequences
//	seq, _, err := l.Append(ctx, "lobby", id, data)          // stored, on disk, when it returns
//	f, tail, err := l.Follow(ctx, "lobby", deliver)          // entries after tail, in order, each once
//
//	bus, err := b.OpenBus(ctx, "io")                         // messages between nodes, not stored
//	bus.Serve(message, asked, changed)
//	s, err := b.OpenSet(ctx, broker.SetConfig{…})            // keys that all nodes know, on disk
//	j, err := b.OpenJournal(ctx, broker.JournalConfig{…})    // entries for some minutes, in memory
//
// # What is promised
//
// What Append has acknowledged is on disk (Config.Sync says how surely), is in one order for all followers, and
// reaches each of them once. Live copies travel as plain NATS messages, which may be lost. So a Follower checks
// each one's previous sequence, fills every gap from the stream before it delivers anything later, and compares
// tails every few seconds, because the last copy can be lost, too.
//
// A Follower skips deleted messages only when a leader with a quorum knows of a later one: a deposed leader may not
// know what was stored since.
//
// Nothing is acknowledged while the data folder is removed or replaced: that takes a person and a restart to fix.
// Nothing is acknowledged while the disk is full; when it has room, the server inside the process is restarted,
// and appends work again. While a cluster elects a leader, or the connection moves to another server, Append
// keeps trying. If a server merely stops answering, the connection moves to another after 3 to 4 seconds. When the
// servers say that a stream has a new leader, everything that the previous one has not answered is asked again immediately.
// A user that may not subscribe to $JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.* appends up to 0.6 s later, and joins up to
// 5 s later.
//
// Ready is nil while appends work. Otherwise it names what is missing: the connection, a stream that does not
// answer, has no leader or has lost its quorum, the disk, the data folder. It is right within five seconds of
// a change, which is why a quorum counts only servers heard in the last three.
//
// Open, and the functions that open a Log, a Set, a Bus or a Journal, wait for a cluster as long as their context
// lasts, so that nodes and servers may be started in any order. They log what they wait for. They return immediately
// with an error that waiting cannot fix.
//
// A Bus delivers each node's messages at most once and in their order. It knows which nodes are alive: a node greets
// the others, sends a heartbeat every second, and says goodbye. After three seconds of silence it is gone. A
// question to one node fails immediately if NATS knows that nobody listens there.
//
// A Set forgets no key before its time: what Add acknowledged is on disk, and every node knows it within
// milliseconds, or within seconds if a message was lost.
//
// A Journal is a stream in the servers' memory. What it has acknowledged survives the loss of one server of
// three, but not of all: then the Journal begins anew, with another epoch. Its followers are told where entries may
// have been lost. While the servers elect another leader, entries wait for it, for fifteen seconds at most.
//
// Followers get a topic's entries of each node in the order in which it appended them. The servers do not keep that order:
// they may store an entry of a connection that is already lost before earlier ones that were lost with the connection and
// are sent again. Followers do not get those, but are told of a hole, and Append's callers are told of the failure. Nor do
// followers get an entry a second time if a copy of it arrives when the servers have forgotten its id, after 45 seconds.
//
// # Subjects
//
// A server that limits what its users may do must allow chat.*, live.>, bus.>, $JS.API.>, $KV.> and _INBOX.>, and
// for a Journal <name>.>.
//
// # Who runs what
//
// A Broker with a data folder has one goroutine that restarts the server after a full disk. A Log has one that hands
// out live messages, and one that compares tails; a Follower has one only while it fills a gap. A Listener has one. A
// Bus has one that handles received messages and keeps track of nodes, one that sends heartbeats, and one that sends
// messages. A Set has a Listener, and one that looks for missed keys. A Journal has one that looks after the stream,
// two that send entries and values, two that wait for their acknowledgements, and one for live messages; its followers
// work like a Log's. Broker.Close ends them all and waits.
//
// # Files, in reading order
//
// broker.go: opening and closing. start.go: waiting for a cluster. ready.go: readiness. metrics.go: what is counted.
// embedded.go: the server inside the process. folder.go: what can go wrong with its folder. log.go: appending.
// stream.go: how a Log's stream is made; epochs.go: its sequences; guard.go: noticing losses. read.go: reading.
// leaders.go: who is asked again when a stream gets another leader.
// follow.go: live delivery; unread.go: what waits for it. copy.go: all of a stream, for an archive. set.go: keys.
// listen.go: plain messages.
// bus.go: the Bus, and receiving. bus_send.go: sending. bus_nodes.go: which nodes are alive. bus_ask.go: questions.
// once.go: values that can be taken once, for a Journal.
// journal.go: the stream and its lives. journal_append.go and journal_pipe.go: storing. journal_follow.go: delivery.
// journal_order.go: entries that are missing or late.
package broker
