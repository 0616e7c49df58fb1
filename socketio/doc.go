// Package socketio is a Socket.IO server (protocol revision 5) for Echo. The official clients work with it unchanged.
//
// Use it if clients need named events, acknowledgements, rooms and namespaces, if they may be behind proxies that block
// WebSockets, or to port a Node server. For a message format of your own, package ws is smaller and faster. This is
// lesson 6.
//
//	io := socketio.New(app, socketio.Config{})
//	io.OnConnect(func(s *socketio.Socket) error {
//		s.On("event", func(e socketio.Event) error { return e.Ack("got it") })
//		s.Join("room")
//		return io.To("room").Emit("news", s.ID())
//	})
//	io.Of("/admin").Use(func(s *socketio.Socket) error { … })
//
// The specification is docs/socket.io-protocol/v5-current.md in github.com/socketio/socket.io. Where it is silent, this
// package behaves like the reference server on Node.
//
// # Coming from Node
//
//	io.on("connection", f)                io.OnConnect(f)
//	io.use(f)                             io.Use(f); an error, or a *Refusal with data, refuses
//	io.engine.use(session)                Echo's middleware; in io.Use, look at s.Handshake().Request, such as its cookies
//	cors: {origin}                        ws.Config.Origins
//	io.of("/a"), io.of(/re/), io.of(f)    io.Of("/a"), io.OfMatch(re), io.OfFunc(f)
//	socket.on, once, off                  s.On, s.Once, off := s.On(…) or s.Off(event)
//	socket.on("e", (a, b) => …)           socketio.On2(s, "e", func(e Event, a A, b B) error { … })
//	callback(x)                           e.Ack(x)
//	socket.onAny, onAnyOutgoing           s.OnAny, s.OnAnyOutgoing; s.OnUnhandled for events without a listener
//	socket.use(([event, ...args], next))  s.Use(func(e Event) error { … })
//	socket.emit                           s.Emit
//	socket.emitWithAck, timeout           s.EmitWithAck(ctx, …), socketio.EmitWithAck[T](ctx, s, …)
//	socket.volatile.emit                  s.Volatile().Emit
//	socket.broadcast.emit, socket.to("r") s.Broadcast().Emit, s.To("r")
//	io.emit, io.to("a").to("b"), io.in    io.Emit, io.To("a", "b"), io.In
//	io.except, io.volatile, io.local      io.Except, io.Volatile(), io.Local()
//	io.timeout(t).emitWithAck             io.EmitWithAck(ctx, …): the answers, and how many are missing
//	io.fetchSockets, io.in("r")…          io.Sockets(ctx), io.In("r").Sockets(ctx); on this node: LocalSockets
//	io.socketsJoin, socketsLeave          io.SocketsJoin, io.SocketsLeave
//	io.disconnectSockets                  io.DisconnectSockets
//	io.sockets.sockets.size               io.Len(ctx), io.In("r").Len(ctx); on this node: LocalLen
//	adapter.rooms                         io.Rooms(ctx)
//	socket.join, leave, rooms             s.Join, s.Leave, s.Rooms, s.In("r")
//	socket.data.user                      user := socketio.NewKey[User]("user"); user.Set(s, u), user.Get(s)
//	socket.handshake, auth, address       s.Handshake(), s.Auth(&v), s.Handshake().Address
//	socket.conn.id                        s.Handshake().Connection
//	socket.id, recovered, connected       s.ID(), s.Recovered(), s.Connected(); s.Context() ends with the socket
//	socket.on("disconnect"), disconnecting s.OnDisconnect; s.Rooms() still returns its rooms
//	socket.disconnect(true)               s.Disconnect(true)
//	connectionStateRecovery               Config.Recovery, RecoverySkipsUse (skipMiddlewares, there on by default)
//	transports: ["websocket"]             Config.Engine.WebSocketOnly
//	allowRequest, connection_error        Config.Engine.Allow, Config.Engine.OnRefused
//	maxHttpBufferSize, pingInterval       Config.Engine.MaxPayload and ws.Config.MaxMessage, Config.Engine.PingInterval
//	io.adapter(…)                         Config.Adapter, Config.Journal
//	io.engine.clientsCount, io.close()    io.Sessions(), io.Shutdown(ctx)
//
// Differences: Emit to one socket blocks while its client does not read, so that events do not pile up. An error returned
// by an OnConnect function disconnects the socket; to refuse a socket, return an error from a Use function. A Use function may
// call Join, but not Emit. Requests with a foreign Origin are refused, by polling and on WebSockets. Bytes are sent as such as
// arguments and in maps, slices and pointers; in a struct, encoding/json makes them text. Offsets are kept in memory by default,
// as in the reference. Not supported: clients of protocol 4 and older (allowEIO3), serverSideEmit, parsers other than JSON,
// compression of single events, prependAny, and the adapter's events.
//
// # Goroutines
//
// The callbacks of one connection, in all its namespaces, run one at a time, in the order of its packets: in the
// WebSocket's goroutine, or, if the client polls, in the goroutines of its requests. So a callback that waits for an
// answer from the same client (EmitWithAck) must do so in its own goroutine. OnDisconnect functions run after the socket
// has ended, in another goroutine. Emitting to rooms does not wait for clients; with a Journal that is behind, it may wait for a
// second.
//
// # Several nodes
//
// With an Adapter, everything that an Emitter does reaches all nodes, unless it is Local. An event reaches the sockets of
// this node immediately and those of other nodes soon after, at most once; events from one node keep their order. A node
// without a socket in a room does not receive the room's events, with three exceptions: an event for more than 16 rooms, or a
// long one for several, or for one that SocketsJoin named in the last five to ten seconds, goes to each node that has sockets in
// the namespace, and a Journal is read by all nodes. When the first of a node's sockets joins a room, Join does not wait until
// the others know: what they emit in the next milliseconds may be missed.
//
// # Recovery
//
// With Config.Recovery, a client that reconnects in time keeps its socket, with its rooms and values, and receives each
// event that it missed: once, in order, and only if the event was meant for the socket when it was emitted. Otherwise the
// client is told that it was not recovered: no event is lost silently. Volatile events and events that ask for an
// acknowledgement are not repeated; with a Journal, Local events are not repeated either.
//
// With an Adapter alone, a client must reconnect to its own node. With a Journal it may reconnect to any node, even after
// its own has died: all nodes then send events in the same order, slightly later, when the journal delivers them. An event
// reaches those who are in its rooms at that moment; what this node does after Emit, such as Leave or DisconnectSockets, comes
// later, but Local and Volatile events may come earlier. While the journal is unreachable, events are sent at most once: a
// client that stays connected may miss one, and a client that reconnects is not recovered if it may have missed one and has
// received no event since. Such an event is sent immediately. Or, to keep the order, it waits while earlier events of its node
// are on their way to the journal: for at most about 20 seconds, and while no more than 4 MiB wait in the namespace. An event
// that the journal loses, or stores after a later one of its node, as may happen when a NATS server stops, is sent to nobody:
// that is logged, Socket.Emit returns an error, and a client that was away is not recovered. One case remains: a client
// reconnects to another node while its own, cut off from all others, still emits to the clients that stayed there. The other
// nodes cannot tell this case from a node that has died.
//
// # Files, in reading order
//
// packet.go, args.go and binary.go: the encoding, independent of connections; expected.go: errors for clients. server.go and
// namespace.go: the objects that an application sets up. conn.go: a connection, and how it routes packets to sockets. Then
// by verb: connect.go, listen.go, emit.go, ack.go, rooms.go, sockets.go, disconnect.go. limits.go: limits for one client.
// log.go, metrics.go: logs and metrics for operators. recovery.go and comeback.go: kept events, and sockets that come back.
// adapter.go, message.go, cluster.go and ask.go: other nodes; journal.go, journal_append.go, record.go, holes.go and
// held.go: coming back to another node. The layer below is package engineio, which can be used alone.
package socketio
