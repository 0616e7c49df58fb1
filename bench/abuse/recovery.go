package main

import (
	"fmt"
	"strings"

	"github.com/gorilla/websocket"
)

// Socket.IO: recovery remembers sockets that lost their connection.

var recoveryAttacks = []attack{{
	name:  "visits",
	what:  "50 clients come to /, join ten rooms and lose their connection, again and again, up to 20,000 times in all",
	limit: "`socketio.Config.RecoveryBytes`, of all that is remembered",
	flags: []string{"-recovery", "2m"},
	run: func(a *attacker) {
		const visits = 20_000 / 50
		var done [50]int
		a.each(50, func(i int) error {
			if done[i]++; done[i] > visits {
				<-a.ctx.Done()
				return nil
			}
			return a.entered(func(conn *websocket.Conn) error {
				for room := range 10 {
					name := fmt.Sprintf("%s-%d-%d", strings.Repeat("r", 50), i, room)
					if err := say(conn, fmt.Sprintf(`42%d["join",{"room":"%s"}]`, room, name)); err != nil {
						return err
					}
				}
				err := expect(conn, "439[")
				if err == nil {
					a.done.add("visit", 1)
				}
				return err
			})
		})
	},
}}
