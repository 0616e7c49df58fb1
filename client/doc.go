// Package client has connections that come back by themselves. Conn is a WebSocket; Chat is a member of a chat room
// that misses no message while it is away, and posts each of its own once.
//
// Use it in scripts, services and bots that must outlive restarts of the server and failures of the network. If the
// connection need not come back, ws.Dial is enough. For Socket.IO, use a client of that protocol.
//
//	conn := client.Connect(ctx, client.URL("wss://example.com/ws"), client.Config{
//		OnMessage: func(m ws.Message) error { fmt.Println(m.Text()); return nil },
//	})
//	defer conn.Close(ws.CloseNormal, "")
//
// Both live until they are closed, until their context ends, or until the server's answer means that coming back is
// useless; see Done and Err. Between attempts they wait for a random time, longer after each failure, so that the clients
// of a restarting server do not all come back at the same moment.
//
// # Who runs what
//
// A Conn has a goroutine that connects and waits, and its socket has one that reads; only one of them is busy at a
// time. A Chat has one more, for its pauses. Callbacks are called in the first two, one at a time and in order. When
// Done is closed, these goroutines have ended, except that the socket's may read for another second, until the server
// has closed its end.
//
// # Files, in reading order
//
// config.go: settings. conn.go: the connection that comes back. attempt.go: one of the connections that it makes.
// backoff.go: how long it waits. chat.go: the chat. session.go: sessions and tickets. receive.go: messages from the
// server. post.go: posts.
package client
