// Package client has connections that come back by themselves, for scripts and services: Conn is a WebSocket, and
// Chat a member of a chat room, who misses nothing while it was away and posts everything once.
//
//	conn := client.Connect(ctx, client.URL("wss://example.com/ws"), client.Config{
//		OnMessage: func(m ws.Message) error { fmt.Println(m.Text()); return nil },
//	})
//	defer conn.Close(ws.CloseNormal, "")
//
// Both live until they are closed, their context ends, or the server says that it is of no use to come back; Done
// and Err tell. In between they wait, longer after each failure and for a random time, so that the clients of
// a server that restarts do not all come back in the same moment.
//
// # Who runs what
//
// A Conn has one goroutine, which connects and waits, and its socket has one, which reads; only one of them is busy
// at a time. A Chat has one more, for its pauses. Callbacks are called by the first two, one at a time and in order.
// When Done is closed these have ended, but that the socket's may read on for a second, until the server has closed
// its end too.
//
// # Files, in reading order
//
// config.go: what one can set. conn.go: the connection, and attempt.go, one of those it makes. backoff.go: how long it
// waits. chat.go: the chat. session.go: sessions and tickets. receive.go: what the server says. post.go: what is posted.
package client
