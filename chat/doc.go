// Package chat is the second lesson: rooms in which what one person posts reaches everyone, in one
// order, and nothing that was acknowledged is lost.
//
//	c, err := chat.Open(ctx, app, hub, broker, chat.Config{Secret: secret})
//	e.POST("/session", c.SignIn, chat.NoStore, c.LimitSessions())
//	e.POST("/ticket", c.Ticket, chat.NoStore, c.LimitTickets(), c.RequireSession)
//	app.WS("/ws/chat/:room", c.Join, chat.RequireRoom, chat.RequireAfter, c.LimitUpgrades(), c.RequireTicket)
//
// # The way of a message
//
// Socket → Join's callback → broker.Log.Append, which is the acknowledgement. What members see comes
// from the log alone: broker.Follower → room.deliver → hub. So there is one order, and the poster's node
// is a node like any other.
//
// # Who runs what
//
// A member's socket has its goroutine (see ws); a post waits in it for the disk, and holds up nobody
// else. One goroutine tells members and nodes who is there; one closes rooms that nobody uses, and looks
// at what is over. What other nodes say is heard in the bus's goroutine. With a database, one copies the
// log into it, and one compares the two. Close ends them and waits.
//
// # What nodes share
//
// Messages: the log. Sessions: none, a token says it all; those that were signed out are a broker.Set. Tickets
// are in the memory of the node that issued them, which the others ask. Who is there is in every node's memory:
// each tells the others of its own rooms, by a broker.Bus.
//
// # Files, in reading order
//
// chat.go: what there is. member.go: one connection. message.go: what may be said. room.go: one room on
// this node; history.go: what somebody missed; block.go and shelf.go: what of it is in memory. people.go and
// presence.go: who is there; nodes.go: on other nodes; typing.go: who types. session.go, revoked.go, ticket.go, tickets.go, body.go and
// limits.go: who may come in. archive.go: the copy in PostgreSQL; archive_schema.go, archive_copy.go, archive_gaps.go
// (what it lacks), archive_watch.go (whether it is well) and archive_read.go.
package chat
