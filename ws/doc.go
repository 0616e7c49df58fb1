// Package ws gives an Echo server WebSocket routes. Use it when a server on Echo answers messages in callbacks, sends
// to many connections at once, or must bound what clients can cost it; and, with Dial, to write clients of any
// WebSocket server. If a loop that reads and writes by itself suits the program better, or there is no Echo, a library
// such as github.com/coder/websocket is enough.
//
// Routes are declared the express-ws way:
//
//	app := ws.New(e, ws.Config{})
//	app.WS("/ws", func(s *ws.Socket, c echo.Context) error {
//		s.OnMessage(func(m ws.Message) error { return s.SendText("you said: " + m.Text()) })
//		return nil
//	})
//
// Package golang.org/x/net/websocket does the opening handshake, on both sides; the rest of RFC 6455, and
// permessage-deflate (RFC 7692), is here. The examples show what programs need first: JSON, middleware, groups, broadcasts,
// close codes, limits, and a graceful shutdown. Package hub adds topics across routes.
//
// # Who runs what
//
// A socket has a goroutine while it is busy: it runs the Handler once, then reads and calls the callbacks, one
// at a time, until the connection ends, and then the functions that OnClose added. An idle socket has none: it is
// parked until there is something to read (on Linux, in an epoll set; elsewhere a goroutine with the smallest stack
// waits). Sending has no goroutine of its own: each sender writes what is queued. Broadcasts are written by a few
// goroutines that last as long as there is something to write; a peer that makes one of them wait gets a goroutine of
// its own, until it reads again or times out. One goroutine pings for all sockets. App.Shutdown waits for all of these.
//
// # What it does not do
//
// It does not speak WebSocket over HTTP/2 (RFC 8441). And a message must fit into memory: it is one slice of bytes,
// bounded by Config.MaxMessage. Reading and writing messages in parts would give every callback a second form, and
// files are better sent over HTTP.
//
// # Files, in reading order
//
// app.go and route.go: routes and their sockets. handshake.go, origin.go, admission.go and request.go: from an
// HTTP request to a socket. socket.go, message.go, prepared.go and key.go: what handlers use. dial.go and connect.go: the
// other side. Below, internal/conn is one connection of either side, and internal/wire the bytes of a frame.
package ws
