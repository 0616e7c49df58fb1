// Package socketio is the third lesson: a server of the Socket.IO protocol, revision 5, for Echo, on ws and
// hub, so that the official clients work against it unchanged.
//
//	io := socketio.New(app, hub, socketio.Config{})
//	io.OnConnect(func(s *socketio.Socket) error {
//		s.On("event", func(e socketio.Event) error { return e.Ack("got it") })
//		s.Join("room")
//		return io.To("room").Emit("news", s.ID())
//	})
//	io.Of("/admin").Use(func(s *socketio.Socket) error { … })
//
// The specification is docs/socket.io-protocol/v5-current.md of github.com/socketio/socket.io; where that is
// silent, the reference server on Node is followed.
//
// # Who runs what
//
// The callbacks of one connection, over all its namespaces, run one at a time, in the order of its packets:
// by its socket's goroutine, or by the requests of one that polls. So a callback that waits for the same
// client's answer (EmitWithAck) has to do it in a goroutine of its own. OnDisconnect's functions run when
// the connection has ended, in another goroutine. Emitting to rooms waits for nobody.
//
// # Files, in reading order
//
// packet.go and args.go: the encoding, with no connection in sight. server.go and namespace.go: what an
// application sets up. conn.go: a connection, and which packet is for whom. socket.go, send.go, life.go and event.go: what
// callbacks use. emitter.go: rooms, and the one place where packets for many leave. recovery.go: sockets
// that come back. Below is engineio, which can be used alone.
package socketio
