// Package conn implements one WebSocket connection over a transport, for either side: reading messages and
// control frames, the send buffer, the closing handshake, keep-alive, compression, and parking while idle. It
// knows nothing of HTTP, routes or topics: package ws makes connections with Engine.Open, and is called back.
//
// # Files, from top to bottom
//
// engine.go: what connections share. sweep.go: their clock. conn.go: a connection, its states, and the table of
// its ends. end.go: the end. park.go and lot_linux.go: waiting without a goroutine. reader.go: receiving.
// send.go, outbox.go and flusher.go: sending. codec.go: permessage-deflate. buffer.go and transport.go: what
// all of these build on.
package conn
