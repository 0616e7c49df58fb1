package main

import (
	"fmt"
	"strings"

	"github.com/gorilla/websocket"
)

// Socket.IO: events.

var eventAttacks = []attack{{
	name:  "arguments",
	what:  "20 clients send events with 490,000 arguments, and come back when they are ended",
	limit: "`socketio.Limits.Arguments`, 256",
	run: func(a *attacker) {
		a.floodEvents(20, func(int) string { return `42["message"` + strings.Repeat(",1", 490_000) + "]" })
	},
}, {
	name:  "events",
	what:  "300 clients send events that are acknowledged and cost little, as quickly as they can",
	limit: "`-address-events`, 10,000 packets a second of one address; what is more is read later",
	run: func(a *attacker) {
		a.floodEvents(300, func(i int) string { return fmt.Sprintf(`42%d["round trip"]`, i) })
	},
}, {
	name:  "events-refused",
	what:  "300 clients speak in a room that they are not in, as quickly as they can",
	limit: "the same, and the application's own 20 events a second of one client: an error is the answer to more",
	run: func(a *attacker) {
		a.floodEvents(300, func(i int) string { return fmt.Sprintf(`42%d["room message",{"room":"x","text":"bad"}]`, i) })
	},
}, {
	name:  "events-told",
	what:  "300 clients speak to everybody, as quickly as they can",
	limit: "the application's own 20 events a second of one client; no bound of an address",
	run: func(a *attacker) {
		a.floodEvents(300, func(i int) string { return fmt.Sprintf(`42%d["message",{"text":"bad"}]`, i) })
	},
}}

// floodEvents has clients send the same event again and again.
func (a *attacker) floodEvents(clients int, event func(i int) string) {
	a.each(clients, func(i int) error {
		return a.entered(func(conn *websocket.Conn) error {
			return a.floodPrepared(conn, prepare(websocket.TextMessage, []byte(event(i))))
		})
	})
}
