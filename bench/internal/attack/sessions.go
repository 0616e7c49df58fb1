package attack

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/gorilla/websocket"

	"echows/bench/internal/visit"
)

// Engine.IO: sessions of polling clients.

var sessionAttacks = []Attack{{
	Name:  "sessions",
	What:  "one address begins sessions by polling, as quickly as it can",
	Limit: "`-address-sockets`, 2,000 connections and sessions per address",
	run: func(a *attacker) {
		a.each(50, func(int) error {
			_, err := a.Begin(a.ctx)
			if err == nil {
				a.done.Add("session", 1)
			}
			a.refused(err) // and again, without a rest
			return nil
		})
	},
}, {
	Name:  "acks",
	What:  "150 sessions post events that ask for acknowledgements, 1 MB at a time, and never poll",
	Limit: "`engineio.Config.MaxQueue`, 1 MiB per session, after which its POSTs wait; `MaxBuffered`, 32 MiB in total, of which one address may hold a quarter",
	run: func(a *attacker) {
		body := payload(9000, func(i int) string { return fmt.Sprintf(`42%d["round trip","%080d"]`, i, i) })
		a.each(150, func(int) error {
			path, err := a.Begin(a.ctx)
			if err == nil {
				_, err = a.Ask(a.ctx, http.MethodPost, path, "", []byte(visit.ConnectPacket("/", "bad")))
			}
			for err == nil {
				if _, err = a.Ask(a.ctx, http.MethodPost, path, "", body); err == nil {
					a.done.Add("post", 1)
				}
			}
			return err
		})
	},
}, {
	Name:  "posts-unfinished",
	What:  "1,000 sessions each begin a POST of 1 MB, and stop after 0.9 MB",
	Limit: "`engineio.Config.MaxBuffered`, of which one address may hold a quarter, 8 MiB; 30 s for a body",
	run: func(a *attacker) {
		a.each(1000, func(int) error {
			path, err := a.Begin(a.ctx)
			if err != nil {
				return err
			}
			conn, err := a.Dial(a.ctx, "tcp", a.Addr)
			if err != nil {
				return err
			}
			defer conn.Close()
			defer context.AfterFunc(a.ctx, func() { conn.Close() })()
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n", path)
			go conn.Write(megabyte[:900_000])
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				return err
			}
			return visit.StatusError(res.StatusCode)
		})
	},
}, {
	Name:  "noops",
	What:  "60 clients post 499,001 noops, 1 MB at a time",
	Limit: "`engineio.Config.MaxPackets`, 10,000 per request",
	run: func(a *attacker) {
		body := payload(499_001, func(int) string { return "6" })
		a.each(60, func(int) error {
			path, err := a.Begin(a.ctx)
			if err == nil {
				_, err = a.Ask(a.ctx, http.MethodPost, path, "", body)
			}
			return err
		})
	},
}, {
	Name:  "unread",
	What:  "200 sessions that never poll and 200 WebSockets that never read, while ten clients send messages to everyone as quickly as they can",
	Limit: "`engineio.Config.MaxQueue`, `ws.Config.SendBuffer` and `WriteTimeout`; the application's own limit of 20 events a second per client",
	run: func(a *attacker) {
		go a.each(200, func(int) error {
			path, err := a.Begin(a.ctx)
			if err == nil {
				_, err = a.Ask(a.ctx, http.MethodPost, path, "", []byte(visit.ConnectPacket("/", "bad")))
			}
			for err == nil && a.ctx.Err() == nil {
				a.wait(5 * rest)
				_, err = a.Ask(a.ctx, http.MethodPost, path, "", []byte("3")) // a sign of life, but no poll
			}
			return err
		})
		go a.each(200, func(int) error {
			return a.entered(func(conn *websocket.Conn) error {
				<-a.ctx.Done()
				return nil
			})
		})
		said := fmt.Appendf(nil, `42["message",{"text":"%01000d"}]`, 1)
		a.each(10, func(int) error {
			return a.entered(func(conn *websocket.Conn) error {
				return a.flood(conn, func() (int, []byte) {
					a.wait(rest / 4)
					return websocket.TextMessage, said
				})
			})
		})
	},
}, {
	Name:  "requests",
	What:  "300 clients send requests to /socket.io/ that are refused, as quickly as they can",
	Limit: "a refusal is cheap; one log line a second",
	run: func(a *attacker) {
		a.each(300, func(int) error {
			_, err := a.Ask(a.ctx, http.MethodGet, visit.PollPath+"&sid=unknown", "", nil)
			a.refused(err) // and again, without a rest
			return nil
		})
	},
}}

// payload returns the body of a POST with the given number of packets.
func payload(packets int, packet func(i int) string) []byte {
	var b strings.Builder
	for i := range packets {
		if i > 0 {
			b.WriteByte('\x1e')
		}
		b.WriteString(packet(i))
	}
	return []byte(b.String())
}
