// Package ws gives an Echo server WebSocket routes, the express-ws way:
//
//	app := ws.New(e, ws.Config{})
//	app.WS("/ws", func(s *ws.Socket, c echo.Context) error {
//		s.OnMessage(func(m ws.Message) error { return s.SendText("you said: " + m.Text()) })
//		return nil
//	})
//
// golang.org/x/net/websocket does the opening handshake, and reads the frame headers that have to be
// waited for. This package is the rest of RFC 6455, and what a server needs around it: joined fragments,
// the closing handshake, the rules and their close codes, keep-alive, deadlines, bounded outboxes, the
// sockets of a route, shutdown.
//
// # Who runs what
//
// A socket has one goroutine. It runs the Handler once, then reads and calls the callbacks, one at a
// time, until the connection ends, and calls OnClose's. Sending has no goroutine of its own: whoever
// sends appends to the socket's outbox, and the first of them writes for all. Broadcasts are written by
// a few goroutines that last as long as there is something to write; a peer that makes one of them wait
// gets one of its own, until it reads on or its time is over. One goroutine pings for all sockets, and
// sends those that wait to rest: such a one goes on in a new goroutine, with a small stack (rest.go).
// App.Shutdown waits for all of these.
//
// # What it does not do
//
// Compression (permessage-deflate), HTTP/2 (RFC 8441), and the client's side.
//
// # Files, in reading order
//
// app.go and route.go: routes and their sockets. upgrade.go and request.go: from an HTTP request to a
// socket. socket.go and message.go: what handlers use. rules.go, utf8.go and mask.go: frames, with no
// connection in sight. read.go and frames.go: receiving. outbox.go, flusher.go and transport.go:
// sending. close.go and closecode.go: the end. sweep.go and rest.go: keep-alive, and little memory.
package ws
