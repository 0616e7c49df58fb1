// Package engineio is a server of the Engine.IO protocol, revision 4, on Echo and ws. A session begins with
// long-polling requests or with a WebSocket, and goes over from the first to the second without losing or reordering a
// message.
//
// Use it under a protocol of your own whose clients may be behind proxies that let no WebSocket through. For Socket.IO, use
// package socketio, which is built on it; where WebSockets always work, package ws is simpler.
//
//	io := engineio.New(app, "/engine.io/", engineio.Config{}, func(s *engineio.Session) {
//		s.OnMessage(func(m ws.Message) error { return s.Send(m) })
//	})
//
// The specification is docs/engine.io-protocol/v4-current.md of github.com/socketio/socket.io. Where it is silent, this
// package does what the reference server on Node does.
//
// # Who runs what
//
// A session that polls has no goroutine while nothing comes. Each POST has one, which runs the callbacks for its
// packets after those of earlier POSTs. On a WebSocket, the socket's goroutine runs them (see ws). One timer of
// the Server does for all sessions, for pings and for silence. Server.Shutdown ends all sessions and waits for their
// callbacks; their sockets belong to the App, which waits for them.
//
// # What is bounded
//
//	what                        by                         past it
//	--------------------------  -------------------------  ---------------------------------------------------
//	sessions                    MaxSessions, and the       the handshake gets 503, or 429
//	                            App's MaxSockets and
//	                            MaxAddressSockets
//	what is kept of a request   16 KiB                     the handshake gets 431
//	a body, a message           MaxPayload                 413, or the session ends
//	packets of a body           MaxPackets                 the session ends with ParseError
//	POSTs answered before they  MaxPayload                 the next is answered when it is handled
//	are handled
//	what waits for a poller     MaxQueue                   Send waits, for PollTimeout at most; Offer ends the
//	                                                       session of a client that does not poll
//	what waits on a WebSocket   the App's SendBuffer       as ws.Socket's Send and Offer
//	silence                     PingInterval+PingTimeout   the session ends with PingTimeout
//	an upgrade                  UpgradeTimeout             its socket is closed, and the session polls on
//
// A client that polls gets the answer to its POST when the packets have been handled, or earlier, if somebody waits for
// room in the queue: some clients fetch nothing before that answer.
//
// # Files, in reading order
//
// packet.go: the encoding, without any connection. config.go: the settings. server.go: which request is for what.
// refuse.go and cors.go: who is refused, and what pages of other origins may read. session.go: a session. send.go,
// receive.go, life.go with alarm.go, end.go: what it sends and receives, its pings, its end. log.go, stats.go: what
// operators see. polling.go with post.go, and websocket.go: its two transports.
package engineio
