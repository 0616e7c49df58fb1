// Package broker is what lasts and what crosses nodes. It is the only place that knows NATS, and it
// knows no socket.
//
//	b, err := broker.Open(ctx, broker.Config{Dir: "data"})  // a NATS server inside the process
//	l, err := b.OpenLog(ctx, broker.LogConfig{Name: "chat"}) // one stream: topics with sequences
//	seq, _, err := l.Append(ctx, "lobby", id, data)          // stored, on disk, when it returns
//	f, tail, err := l.Follow(ctx, "lobby", deliver)          // what comes after tail, in order, each once
//
//	bus, err := b.OpenBus(ctx, "io")                         // the other nodes, for what need not last
//	bus.Serve(message, asked, changed)
//	s, err := b.OpenSet(ctx, broker.SetConfig{…})            // keys that all nodes know, on disk
//	j, err := b.OpenJournal(ctx, broker.JournalConfig{…})    // what lasts some minutes, in memory
//
// # What is promised
//
// What Append acknowledged is on disk (Config.Sync says how surely), is in one order for everybody who
// follows, and reaches each of them once. Live copies travel as plain NATS messages, at most once; so a
// Follower judges each by the sequence before it, fills every gap from the stream before it delivers
// anything later, and compares tails every few seconds, because the last copy of all can be lost too.
//
// A Follower passes over what was deleted only where a leader with a quorum knows of something later: one that
// was deposed may not know what was stored since.
//
// Nothing is acknowledged into a data folder that was removed or replaced: that takes a person, and a restart.
// On a disk that is full nothing is acknowledged either; when it has room, the server inside the process is
// restarted, and appends work again. While a cluster looks for a leader, or a server has to be left for
// another, Append tries on: a server that only stops answering is left after 4 to 6 seconds.
//
// Ready is nil while appends work. Otherwise it names what is missing: the connection, a stream that does not
// answer, has no leader or has lost its quorum, the disk, the data folder. It is right within five seconds of
// a change, which is why a quorum counts who was heard in the last three.
//
// Open, and the functions that open a Log, a Bus or a Journal, wait for a cluster as long as their context
// lasts, whoever is started first, and say in the log what for. What waiting does not mend is an error at once.
//
// A Bus delivers at most once, in the order of each node. It knows which nodes are alive: each greets the
// others, gives a sign of life every second, and says goodbye; three seconds of silence are its end. What one
// node is asked alone fails at once where NATS knows nobody who would answer.
//
// A Set forgets no key before its time: what Add acknowledged is on disk, and known to every node within
// milliseconds, or some seconds after a message was lost.
//
// A Journal is a stream in the servers' memory. What it acknowledged survives the loss of one server of
// three, not of all: then it begins anew, with another epoch. Its followers are told where entries may have
// been lost. While the servers look for another leader, entries wait for it, fifteen seconds at most.
//
// # Subjects
//
// A server that limits what its users may do has to allow chat.*, live.>, bus.>, $JS.API.>, $KV.> and
// _INBOX.>, and for a Journal <name>.>.
//
// # Who runs what
//
// A Broker with a data folder has one goroutine that mends it. A Log has one that hands out live messages and
// one that compares tails; a Follower has one only while it fills a gap. A Listener has one. A Bus has one that
// hands over what comes and owns who is alive, one that gives signs of life, and one that sends. A Set has a
// Listener, and one that looks for what was missed. A Journal has one that looks after the stream
// and owns its life, two that send, entries and values, two that wait for acknowledgements, and one for live
// messages; its followers are a Log's. Broker.Close ends them all and waits.
//
// # Files, in reading order
//
// broker.go: open, close. start.go: what waits for a cluster. ready.go: readiness. embedded.go: the server
// inside the process. folder.go: what may become wrong with its folder. log.go: append. stream.go: how a Log's
// stream is made; epochs.go: what its sequences are. read.go: what was missed. follow.go: what is live. copy.go:
// all of a stream, for an archive. set.go: keys. listen.go: what need not last.
// bus.go: the Bus, and what comes. bus_send.go: what goes. bus_nodes.go: who is there. bus_ask.go: questions.
// once.go: values that can be taken once, for a Journal.
// journal.go: the stream and its lives. journal_append.go and journal_pipe.go: what is stored.
// journal_follow.go: what is delivered.
package broker
