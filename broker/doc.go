// Package broker is what lasts and what crosses nodes. It is the only place that knows NATS, and it
// knows no socket.
//
//	b, err := broker.Open(ctx, broker.Config{Dir: "data"})  // a NATS server inside the process
//	l, err := b.OpenLog(ctx, broker.LogConfig{Name: "chat"}) // one stream: topics with sequences
//	seq, err := l.Append(ctx, "lobby", id, data)             // stored, on disk, when it returns
//	f, tail, err := l.Follow(ctx, "lobby", deliver)          // what comes after tail, in order, each once
//
// # What is promised
//
// What Append acknowledged is on disk (Config.Sync says how surely), is in one order for everybody who
// follows, and reaches each of them once. Live copies travel as plain NATS messages, at most once; so a
// Follower judges each by the sequence before it, fills every gap from the stream before it delivers
// anything later, and compares tails every few seconds, because the last copy of all can be lost too.
//
// # Who runs what
//
// A Log has one goroutine that hands out live messages and one that compares tails; a Follower has one
// only while it fills a gap. A Listener has one. Broker.Close ends them all and waits.
//
// # Files, in reading order
//
// broker.go: open, readiness, close. embedded.go: the server inside the process, and what may be wrong
// with its folder. log.go: append. read.go: what was missed. follow.go: what is live. copy.go: all of a
// stream, for an archive. once.go: values that can be taken once. listen.go: what need not last.
package broker
