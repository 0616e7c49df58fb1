// Package socketio is the third lesson: a server of the Socket.IO protocol, revision 5, for Echo, on ws, so that
// the official clients work against it unchanged.
//
//	io := socketio.New(app, socketio.Config{})
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
// # For those who come from Node
//
//	io.on("connection", f)                io.OnConnect(f)
//	io.use(f)                             io.Use(f); an error, or a *Refusal with data, refuses
//	io.of("/a"), io.of(/re/), io.of(f)    io.Of("/a"), io.OfMatch(re), io.OfFunc(f)
//	socket.on, once, off                  s.On, s.Once, off := s.On(…) or s.Off(event)
//	socket.on("e", (a, b) => …)           socketio.On2(s, "e", func(e Event, a A, b B) error { … })
//	callback(x)                           e.Ack(x)
//	socket.onAny, onAnyOutgoing           s.OnAny, s.OnAnyOutgoing; s.OnUnhandled for what has no listener
//	socket.use(([event, ...args], next))  s.Use(func(e Event) error { … })
//	socket.emit                           s.Emit
//	socket.emitWithAck, timeout           s.EmitWithAck(ctx, …), socketio.EmitWithAck[T](ctx, s, …)
//	socket.volatile.emit                  s.Volatile().Emit
//	socket.broadcast.emit, socket.to("r") s.Broadcast().Emit, s.To("r")
//	io.emit, io.to("a").to("b"), io.in    io.Emit, io.To("a", "b"), io.In
//	io.except, io.volatile, io.local      io.Except, io.Volatile(), io.Local()
//	io.timeout(t).emitWithAck             io.EmitWithAck(ctx, …): answers, and how many are missing
//	io.fetchSockets, io.in("r")…          io.Sockets(ctx), io.In("r").Sockets(ctx); this node's: LocalSockets
//	io.socketsJoin, socketsLeave          io.SocketsJoin, io.SocketsLeave
//	io.disconnectSockets                  io.DisconnectSockets
//	io.sockets.sockets.size               io.Len(ctx), io.In("r").Len(ctx); this node's: LocalLen
//	adapter.rooms                         io.Rooms(ctx)
//	socket.join, leave, rooms             s.Join, s.Leave, s.Rooms, s.In("r")
//	socket.data.user                      user := socketio.NewKey[User]("user"); user.Set(s, u), user.Get(s)
//	socket.handshake, auth, address       s.Handshake(), s.Auth(&v), s.Handshake().Address
//	socket.id, recovered, connected       s.ID(), s.Recovered(), s.Connected(); s.Context() ends with it
//	socket.on("disconnect"), disconnecting s.OnDisconnect; s.Rooms() still tells its rooms
//	socket.disconnect(true)               s.Disconnect(true)
//	connectionStateRecovery               Config.Recovery, RecoverySkipsUse
//	transports: ["websocket"]             Config.Engine.WebSocketOnly
//	allowRequest, connection_error        Config.Engine.Allow, Config.Engine.OnRefused
//	maxHttpBufferSize, pingInterval       Config.Engine.MaxPayload, PingInterval
//	io.adapter(…)                         Config.Adapter, Config.Journal
//	io.engine.clientsCount, io.close()    io.Sessions(), io.Shutdown(ctx)
//
// Differences: Emit to one socket waits while that client does not read, so that nothing piles up. An error of
// OnConnect disconnects; to refuse, use Use. Offsets are in memory by default, as in the reference.
// Not here: clients of protocol 4 and before (allowEIO3), serverSideEmit, parsers other than JSON, compression for
// each event.
//
// # Who runs what
//
// The callbacks of one connection, over all its namespaces, run one at a time, in the order of its packets:
// by its socket's goroutine, or by the requests of one that polls. So a callback that waits for the same
// client's answer (EmitWithAck) has to do it in a goroutine of its own. OnDisconnect's functions run when
// the socket has ended, in another goroutine. Emitting to rooms waits for nobody.
//
// # Several nodes
//
// With an Adapter everything that an Emitter does reaches all nodes, unless it is Local. What is emitted reaches
// this node's sockets at once and those of the others soon, at most once, and each node's in its order. A node
// without a socket in a room is not sent that room's events, unless there is a Journal, which all nodes read.
//
// # Recovery
//
// With Config.Recovery a client that comes back in time is the same socket, with its rooms, its values, and each
// event it missed: once, in order, and only if it was for it when it was emitted. Or it is not recovered, and is told
// so: nothing is missing silently. Volatile events and those that ask for an acknowledgement are not repeated, nor
// are Local ones where there is a Journal.
// With an Adapter alone a client has to come back to its own node; with a Journal any node will do, also after its own
// has died: then all nodes send what is emitted in one order, a moment later, when it has come back from the journal.
// What is emitted while the journal cannot be reached is sent at most once; a client that may have missed such an event is
// not recovered. One case is left: a client that comes back to another node while its own, cut off from all others,
// emits to those that stayed there. That cannot be told from a node that has died.
//
// # Files, in reading order
//
// packet.go and args.go: the encoding, with no connection in sight. server.go and namespace.go: what an
// application sets up. conn.go: a connection, and which packet is for whom. Then by verb: connect.go, listen.go,
// emit.go, ack.go, rooms.go, sockets.go, disconnect.go. limits.go: what one client can cost. recovery.go and comeback.go:
// what was emitted, and sockets that come back. adapter.go, message.go, cluster.go and ask.go: other nodes; journal.go,
// record.go and holes.go: coming back to one of them. Below is engineio, which can be used alone.
package socketio
