package attack

import (
	"bytes"
	"fmt"
	"log"

	"github.com/gorilla/websocket"
)

// Socket.IO: binary values follow the packet that they belong to. The server keeps it until they are complete.

var attachmentAttacks = []Attack{{
	Name:  "attachments",
	What:  "300 connections, in no namespace, each announce ten attachments and send nine of 1 MB",
	Limit: "attachments are accepted only for a connected namespace",
	run: func(a *attacker) {
		a.each(300, func(int) error {
			return a.connected(func(conn *websocket.Conn) error { return a.withhold(conn, 10) })
		})
	},
}, {
	Name:  "attachments-connected",
	What:  "the same, connected to /",
	Limit: "`socketio.Limits.AttachmentBytes`, 4 MiB per packet",
	run: func(a *attacker) {
		a.each(300, func(int) error {
			return a.entered(func(conn *websocket.Conn) error { return a.withhold(conn, 10) })
		})
	},
}, {
	Name:  "attachments-small",
	What:  "300 connections to / each announce four attachments and send three of 1 MB, which is within that limit",
	Limit: "`socketio.Limits.PartialBytes`, of which one address may have a quarter, 16 MiB",
	run: func(a *attacker) {
		a.each(300, func(int) error {
			return a.entered(func(conn *websocket.Conn) error { return a.withhold(conn, 4) })
		})
	},
}}

// The attackers' payloads.
var (
	small    = bytes.Repeat([]byte("x"), 64)
	megabyte = bytes.Repeat([]byte{1}, 1_000_000)
)

var attachment = prepare(websocket.BinaryMessage, megabyte)

// prepare makes a message whose frame is encoded only once, to leave the CPU to the server.
func prepare(kind int, data []byte) *websocket.PreparedMessage {
	m, err := websocket.NewPreparedMessage(kind, data)
	if err != nil {
		log.Fatal(err)
	}
	return m
}

// withhold sends a packet and all its attachments except the last, and waits until the connection ends.
func (a *attacker) withhold(conn *websocket.Conn, attachments int) error {
	ended := a.listening(conn)
	var b bytes.Buffer
	fmt.Fprintf(&b, `45%d-["message"`, attachments)
	for i := range attachments {
		fmt.Fprintf(&b, `,{"_placeholder":true,"num":%d}`, i)
	}
	b.WriteByte(']')
	err := conn.WriteMessage(websocket.TextMessage, b.Bytes())
	for i := 0; err == nil && i < attachments-1; i++ {
		err = conn.WritePreparedMessage(attachment)
	}
	return <-ended // says more than err
}
