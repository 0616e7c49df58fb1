package attack

import (
	"bytes"

	"github.com/gorilla/websocket"
)

// WebSockets: the first lesson's routes.

var socketAttacks = []Attack{{
	Name:  "sockets",
	What:  "one address opens WebSockets and keeps them, as many as it can",
	Limit: "`-address-sockets`, 2,000 connections and sessions per address",
	run: func(a *attacker) {
		a.each(3000, func(int) error {
			return a.opened("/ws/echo", func(conn *websocket.Conn) error {
				a.done.Add("socket", 1)
				return <-a.listening(conn)
			})
		})
	},
}, {
	Name:  "replies",
	What:  "four connections send to /ws as quickly as they can",
	Limit: "`-message-rate`, 1,000 a second per connection; ten log lines a second",
	run: func(a *attacker) {
		a.floodSockets(4, "/ws", small)
	},
}, {
	Name:  "broadcast",
	What:  "one connection sends to /ws/broadcast, where 50 members read, as quickly as it can",
	Limit: "`-message-rate`, 1,000 a second per connection",
	run: func(a *attacker) {
		go a.each(50, func(int) error {
			return a.opened("/ws/broadcast", func(conn *websocket.Conn) error { return <-a.listening(conn) })
		})
		a.floodSockets(1, "/ws/broadcast", small)
	},
}, {
	Name:  "broadcast-unread",
	What:  "ten connections send 256 KiB again and again to /ws/broadcast, where 200 members never read",
	Limit: "`ws.Config.SendBuffer`, and `MaxBuffered`, 96 MiB for all connections, of which one address may hold a quarter",
	run: func(a *attacker) {
		go a.unread(200, "/ws/broadcast")
		a.floodSockets(10, "/ws/broadcast", bytes.Repeat(small, 4096))
	},
}, {
	Name:  "broadcast-small",
	What:  "two connections send 64 bytes to /ws/broadcast, where 1,000 members never read, as quickly as they can",
	Limit: "the same; `-message-rate`, 1,000 a second per connection",
	run: func(a *attacker) {
		go a.unread(1000, "/ws/broadcast")
		a.floodSockets(2, "/ws/broadcast", small)
	},
}, {
	Name:  "echo-unread",
	What:  "200 connections send 1 MB again and again to /ws/echo, and never read",
	Limit: "a reply waits for its client; `ws.Config.MaxBuffered`, 96 MiB for all connections, of which one address may hold a quarter",
	run: func(a *attacker) {
		a.each(200, func(int) error {
			return a.opened("/ws/echo", func(conn *websocket.Conn) error {
				for {
					if err := conn.WritePreparedMessage(attachment); err != nil {
						return err
					}
				}
			})
		})
	},
}, {
	Name:  "fragments",
	What:  "400 connections send 1 MB of a message that never ends",
	Limit: "`ws.Config.MaxBuffered`, 96 MiB for all connections, of which one address may hold a quarter; `MessageTimeout`",
	run: func(a *attacker) {
		a.each(400, func(int) error {
			return a.opened("/ws/echo", func(conn *websocket.Conn) error {
				ended := a.listening(conn)
				if w, err := conn.NextWriter(websocket.BinaryMessage); err == nil {
					w.Write(megabyte)
				}
				return <-ended
			})
		})
	},
}}

// unread opens connections to a route, and never reads from them.
func (a *attacker) unread(connections int, path string) {
	a.each(connections, func(int) error {
		return a.opened(path, func(*websocket.Conn) error {
			<-a.ctx.Done()
			return nil
		})
	})
}

// floodSockets makes connections to a route repeat the same text.
func (a *attacker) floodSockets(connections int, path string, text []byte) {
	a.each(connections, func(int) error {
		return a.opened(path, func(conn *websocket.Conn) error {
			return a.floodPrepared(conn, prepare(websocket.TextMessage, text))
		})
	})
}
