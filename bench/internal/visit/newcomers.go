package visit

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/gorilla/websocket"
)

var (
	small = bytes.Repeat([]byte("x"), 64)
	large = bytes.Repeat([]byte{1}, 100_000)
)

// Echo sends a message, and reads one, which must be the same.
func Echo(conn *websocket.Conn, message []byte) error {
	if err := conn.WriteMessage(websocket.TextMessage, message); err != nil {
		return err
	}
	_, answer, err := conn.ReadMessage()
	if err == nil && !bytes.Equal(answer, message) {
		err = fmt.Errorf("got %d other bytes back", len(answer))
	}
	return err
}

// Newcomers are clients that come, are served once, and leave: one for each thing that the server does.
var Newcomers = map[string]func(context.Context, *Visitor) error{
	"/ws/echo": func(ctx context.Context, v *Visitor) error {
		conn, err := v.Open(ctx, "/ws/echo")
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(Patience))
		return Echo(conn, small)
	},
	"/socket.io/ on a WebSocket": func(ctx context.Context, v *Visitor) error {
		conn, err := v.Enter(ctx, "newcomer")
		if err == nil {
			conn.Close()
		}
		return err
	},
	"an attachment of 100 KB": func(ctx context.Context, v *Visitor) error {
		conn, err := v.Enter(ctx, "newcomer")
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(Patience))
		err = Say(conn, `451-7["round trip",{"_placeholder":true,"num":0}]`)
		if err == nil {
			err = conn.WriteMessage(websocket.BinaryMessage, large)
		}
		if err == nil {
			err = Expect(conn, "437[")
		}
		return err
	},
	"/socket.io/ by polling": func(ctx context.Context, v *Visitor) error {
		path, err := v.Begin(ctx)
		if err == nil {
			_, err = v.Ask(ctx, "POST", path, "", []byte(ConnectPacket("/", "newcomer")))
		}
		if err == nil { // an event of 100 KB
			_, err = v.Ask(ctx, "POST", path, "", fmt.Appendf(nil, `427["round trip","%0100000d"]`, 1))
		}
		if err == nil {
			_, err = v.Ask(ctx, "POST", path, "", []byte("1")) // the session ends
		}
		return err
	},
	"the chat": func(ctx context.Context, v *Visitor) error {
		path, err := v.Ticket(ctx, "newcomer")
		if err != nil {
			return err
		}
		conn, err := v.Open(ctx, path)
		if err == nil {
			conn.Close()
		}
		return err
	},
}
