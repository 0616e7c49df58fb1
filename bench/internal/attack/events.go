package attack

import (
	"fmt"
	"strings"

	"github.com/gorilla/websocket"
)

// Socket.IO: events.

var eventAttacks = []Attack{{
	Name:  "arguments",
	What:  "20 clients send events with 490,000 arguments, and come back when they are closed",
	Limit: "`socketio.Limits.Arguments`, 256",
	run: func(a *attacker) {
		a.floodEvents(20, func(int) string { return `42["message"` + strings.Repeat(",1", 490_000) + "]" })
	},
}, {
	Name:  "events",
	What:  "300 clients send cheap events that are acknowledged, as quickly as they can",
	Limit: "`-address-events`, 50,000 packets a second per address, where a long packet counts once more for each 512 bytes; packets past that are read later",
	run: func(a *attacker) {
		a.floodEvents(300, func(i int) string { return fmt.Sprintf(`42%d["round trip"]`, i) })
	},
}, {
	Name:  "events-refused",
	What:  "300 clients send messages to a room that they are not in, as quickly as they can",
	Limit: "the same, and the application's own limit of 20 events a second per client: further ones get an error and a pause of 50 ms, and clients that go on are disconnected",
	run: func(a *attacker) {
		a.floodEvents(300, func(i int) string { return fmt.Sprintf(`42%d["room message",{"room":"x","text":"bad"}]`, i) })
	},
}, {
	Name:  "events-told",
	What:  "300 clients send messages to everyone, as quickly as they can",
	Limit: "the application's own limits: 20 events a second per client, 200 per address",
	run: func(a *attacker) {
		a.floodEvents(300, func(i int) string { return fmt.Sprintf(`42%d["message",{"text":"bad"}]`, i) })
	},
}}

// floodEvents makes clients send the same event again and again.
func (a *attacker) floodEvents(clients int, event func(i int) string) {
	a.each(clients, func(i int) error {
		return a.entered(func(conn *websocket.Conn) error {
			return a.floodPrepared(conn, prepare(websocket.TextMessage, []byte(event(i))))
		})
	})
}
