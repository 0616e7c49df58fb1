package attack

import (
	"fmt"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"echows/bench/internal/visit"
)

// Socket.IO: recovery remembers sockets that lost their connection.

var recoveryAttacks = []Attack{{
	Name:  "visits",
	What:  "50 clients connect to /, join ten rooms and lose their connection, again and again, up to 20,000 times in total",
	Limit: "`socketio.Config.RecoveryBytes`, for everything that is kept for recovery",
	Flags: []string{"-recovery", "2m"},
	Least: 20 * time.Second,
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
					if err := visit.Say(conn, fmt.Sprintf(`42%d["join",{"room":"%s"}]`, room, name)); err != nil {
						return err
					}
				}
				err := visit.Expect(conn, "439[")
				if err == nil {
					a.done.Add("visit", 1)
				}
				return err
			})
		})
	},
}}
