package main

import (
	"errors"
	"fmt"

	"github.com/gorilla/websocket"
)

// Socket.IO: coming to namespaces and going. Others hear of it.

const quietMembers = 40 // of "/", beside the ten good clients

var namespaceAttacks = []attack{{
	name:  "connects",
	what:  "one connection comes to / and goes, as quickly as it can; 50 members hear of it",
	limit: "`socketio.Limits.Connects`, 5 a second in bursts of 64; the application tells of comings and goings once a second",
	run:   func(a *attacker) { a.comeAndGo(1) },
}, {
	name:  "connects-many",
	what:  "200 connections do, and those that are ended come back",
	limit: "the same, of each connection; the application tells all of them together",
	run:   func(a *attacker) { a.comeAndGo(200) },
}, {
	name:  "connects-new",
	what:  "50 clients do, each with a new connection for every CONNECT",
	limit: "the application tells all of them together",
	run: func(a *attacker) {
		a.members(quietMembers)
		a.each(50, func(int) error {
			a.done.add("visit", 1)
			return a.entered(func(*websocket.Conn) error { return nil })
		})
	},
}, {
	name:  "namespaces",
	what:  "20 connections ask for namespaces that do not exist, as quickly as they can",
	limit: "`socketio.Limits.Connects` of each, and `-address-events`; only the namespaces that the application made are there",
	run: func(a *attacker) {
		a.each(20, func(i int) error {
			return a.connected(func(conn *websocket.Conn) error {
				n := 0
				return a.flood(conn, func() (int, []byte) {
					n++
					return websocket.TextMessage, []byte(connectPacket(fmt.Sprintf("/unknown-%d-%d", i, n), "bad"))
				})
			})
		})
	},
}}

// comeAndGo has connections connect and disconnect, each as soon as it is answered.
func (a *attacker) comeAndGo(connections int) {
	a.members(quietMembers)
	a.each(connections, func(int) error {
		return a.connected(func(conn *websocket.Conn) error {
			for {
				err := say(conn, connectPacket("/", "bad"))
				if err == nil {
					err = expect(conn, `40{"sid"`)
				}
				if refused := connectError(""); errors.As(err, &refused) {
					a.refused(err)
					continue
				}
				if err == nil {
					a.done.add("CONNECT", 1)
					err = say(conn, "41")
				}
				if err != nil {
					return err
				}
			}
		})
	})
}
