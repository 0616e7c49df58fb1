// Package engineio is a server of the Engine.IO protocol, revision 4, on Echo and ws: a session that
// begins with long-polling requests or with a WebSocket, and goes over from the first to the second
// without losing or reordering a message.
//
//	io := engineio.New(app, "/engine.io/", engineio.Config{}, func(s *engineio.Session) {
//		s.OnMessage(func(m ws.Message) error { return s.Send(m) })
//	})
//
// The specification is docs/engine.io-protocol/v4-current.md of github.com/socketio/socket.io; where that is
// silent, the reference server on Node is followed.
//
// # Who runs what
//
// A session on polling has no goroutine: requests run its callbacks, one at a time. On WebSocket the
// socket's goroutine does (see ws). Each session has one timer, for pings and for their answers. Server.Close
// ends all sessions; their sockets are the App's, which waits for them.
//
// # Files, in reading order
//
// packet.go: the encoding, with no connection in sight. server.go: which request is what, and its errors.
// session.go: a session, its messages and its end. polling.go and websocket.go: its two transports.
package engineio
