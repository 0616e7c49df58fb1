// Package chat is the group chat of lessons 3 to 5. In a room, every post reaches everyone, in one order, and no
// acknowledged message is lost.
//
//	c, err := chat.Open(ctx, app, hub, broker, chat.Config{Secret: secret})
//	e.POST("/session", c.SignIn, chat.NoStore, c.LimitSessions())
//	e.DELETE("/session", c.SignOut, chat.NoStore, c.LimitSignOuts())
//	e.POST("/ticket", c.Ticket, chat.NoStore, c.LimitTickets(), c.RequireSession)
//	app.WS("/ws/chat/:room", c.Join, chat.RequireRoom, chat.RequireAfter, c.LimitUpgrades(), c.RequireTicket)
//
// # The path of a message
//
// Socket → Join's callback → broker.Log.Append; when that returns, the post is acknowledged. Members see only
// what comes from the log: broker.Follower → room.deliver → hub. So there is one order, and the poster's node
// is a node like any other.
//
// # Who runs what
//
// Each member's socket has its own goroutine (see ws), in which a post waits for the disk without delaying
// anybody else. One goroutine tells members and nodes who is there. Another closes unused rooms, and drops
// expired tickets. The bus's goroutine handles messages from other nodes. With a database, one more copies the
// log into it, and one compares the two. Close ends them all and waits.
//
// # What nodes share
//
// Messages are in the log. Sessions are stored nowhere, since a token says everything; those that were signed out
// are in a broker.Set. Tickets are in the memory of the node that issued them, which other nodes ask. Every node
// knows who is there: each tells the others about its own rooms, over a broker.Bus.
//
// # Files, in reading order
//
// chat.go: configuration, opening and closing. member.go: one connection. message.go: what may be posted;
// messages.go: posting and reading by request. room.go: one room on this node; history.go: what a member missed;
// block.go and shelf.go: the part of it in memory. people.go and presence.go: who is there; nodes.go: on other
// nodes; typing.go: who is typing. session.go, revoked.go, ticket.go, tickets.go, body.go and limits.go: who may
// come in. refusal.go: how clients are refused, and what is logged. metrics.go: what is counted. archive.go: the
// copy in PostgreSQL; archive_schema.go, archive_copy.go, archive_gaps.go (what it lacks), archive_watch.go
// (whether it works) and archive_read.go.
package chat
