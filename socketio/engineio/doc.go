// Package engineio implements a server of the Engine.IO protocol, revision 4, on Echo and ws. A session begins with
// long-polling requests or with a WebSocket, and can upgrade from polling to a WebSocket without losing or reordering
// messages.
//
// Use it for a protocol of your own whose clients may be behind proxies that block WebSockets. For Socket.IO, use package
// socketio, which is built on it; where WebSockets always work, package ws is simpler.
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
// A session that polls has no goroutine of its own between requests. Each POST has one, which runs the callbacks for its
// packets after those of earlier POSTs. On a WebSocket, the socket's goroutine runs them (see ws). One timer of the Server
// serves all sessions, for pings and for silence. Server.Shutdown ends all sessions and waits for their callbacks; their
// sockets belong to the App, which waits for them.
//
// # Limits
//
//	what                        limit                      past the limit
//	--------------------------  -------------------------  ---------------------------------------------------
//	sessions                    MaxSessions, and the       the handshake gets 503, or 429
//	                            App's MaxSockets and
//	                            MaxAddressSockets
//	a handshake, in memory      16 KiB                     the handshake gets 431
//	a body, a message           MaxPayload                 413, or the session ends
//	packets of a body           MaxPackets                 the session ends with ParseError
//	POSTs answered before they  MaxPayload                 the next is answered when it is handled
//	are handled
//	packets queued for polling  MaxQueue                   Send waits, for PollTimeout at most; Offer ends the
//	                                                       session of a client that does not poll
//	packets queued on a socket  the App's SendBuffer       as for Send and Offer of ws.Socket
//	silence                     PingInterval+PingTimeout   the session ends with PingTimeout
//	an upgrade                  UpgradeTimeout             its socket is closed, and the session keeps polling
//
// A POST is answered when its packets have been handled, or earlier, if a sender waits for room in the queue: some clients
// poll only after that answer.
//
// # Files, in reading order
//
// packet.go: encoding and decoding. config.go: settings. server.go: routing of requests. refuse.go and cors.go: refusals, and
// which answers pages of other origins may read. session.go: sessions. send.go, receive.go, life.go with alarm.go, end.go:
// sending, receiving, pings, and the end of a session. log.go, stats.go: logs and counters for operators. polling.go with
// post.go, and websocket.go: the two transports.
package engineio
