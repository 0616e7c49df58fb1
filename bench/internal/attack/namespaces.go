package attack

import (
	"errors"
	"fmt"

	"github.com/gorilla/websocket"

	"echows/bench/internal/visit"
)

// Socket.IO: joining and leaving namespaces, of which the other members are told.

const quietMembers = 40 // of "/", in addition to the ten good clients

var namespaceAttacks = []Attack{{
	Name:  "connects",
	What:  "one connection joins and leaves the namespace / as quickly as it can; 50 members are told of it",
	Limit: "`socketio.Limits.Connects`, 5 a second in bursts of 64; the application announces who joined and left once a second",
	run:   func(a *attacker) { a.comeAndGo(1) },
}, {
	Name:  "connects-many",
	What:  "200 connections do the same, and come back when they are closed",
	Limit: "the same, per connection; the application announces them all together",
	run:   func(a *attacker) { a.comeAndGo(200) },
}, {
	Name:  "connects-new",
	What:  "50 clients do the same, each with a new connection for every CONNECT",
	Limit: "the application announces them all together",
	run: func(a *attacker) {
		a.members(quietMembers)
		a.each(50, func(int) error {
			a.done.Add("visit", 1)
			return a.entered(func(*websocket.Conn) error { return nil })
		})
	},
}, {
	Name:  "namespaces",
	What:  "20 connections send CONNECTs to namespaces that do not exist, as quickly as they can",
	Limit: "`socketio.Limits.Connects` per connection, and `-address-events`; only the namespaces that the application created exist",
	run: func(a *attacker) {
		a.each(20, func(i int) error {
			return a.connected(func(conn *websocket.Conn) error {
				n := 0
				return a.flood(conn, func() (int, []byte) {
					n++
					return websocket.TextMessage, []byte(visit.ConnectPacket(fmt.Sprintf("/unknown-%d-%d", i, n), "bad"))
				})
			})
		})
	},
}}

// comeAndGo makes connections join and leave "/", each as soon as it has its answer.
func (a *attacker) comeAndGo(connections int) {
	a.members(quietMembers)
	a.each(connections, func(int) error {
		return a.connected(func(conn *websocket.Conn) error {
			for {
				err := visit.Say(conn, visit.ConnectPacket("/", "bad"))
				if err == nil {
					err = visit.Expect(conn, `40{"sid"`)
				}
				if refused := visit.ConnectError(""); errors.As(err, &refused) {
					a.refused(err)
					continue
				}
				if err == nil {
					a.done.Add("CONNECT", 1)
					err = visit.Say(conn, "41")
				}
				if err != nil {
					return err
				}
			}
		})
	})
}
