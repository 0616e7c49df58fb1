package attack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"echows/bench/internal/visit"
)

// The chat.

var chatAttacks = []Attack{{
	Name:  "tickets",
	What:  "14 addresses get tickets with an Origin and a Host of 7 KB each, as quickly as they can",
	Limit: "`-address-rate`, 50 tickets a second per address; 1,000 unused tickets per address, of about 400 bytes each",
	run: func(a *attacker) {
		long := strings.Repeat("a", 7000) + ".example"
		a.each(14, func(i int) error {
			v := a.from(a.Addr, fmt.Sprintf("127.0.1.%d", i+1))
			token, err := v.Token(a.ctx, "bad")
			for err == nil {
				var req *http.Request
				if req, err = http.NewRequestWithContext(a.ctx, http.MethodPost, "http://"+a.Addr+"/ticket", nil); err != nil {
					break
				}
				req.Host = long
				req.Header.Set("Origin", "http://"+long)
				req.Header.Set("Authorization", "Bearer "+token)
				var res *http.Response
				if res, err = v.HTTP.Do(req); err != nil {
					break
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if res.StatusCode == http.StatusCreated {
					a.done.Add("ticket", 1)
				} else {
					a.refused(visit.StatusError(res.StatusCode))
				}
			}
			return err
		})
	},
}, {
	Name:  "histories",
	What:  "450 clients join a room whose history has 1,000 long messages, request all of it, and read slowly",
	Limit: "pages of 256 KiB, each sent when the client has taken the previous one, and encoded once for all clients",
	run: func(a *attacker) {
		a.fill(1000, strings.Repeat("語", 2000))
		token, err := a.Token(a.ctx, "bad")
		a.refused(err)
		a.each(450, func(int) error {
			path, err := a.Seat(a.ctx, token)
			if err != nil {
				return err
			}
			return a.opened(path+"&after=1", func(conn *websocket.Conn) error {
				a.done.Add("join", 1)
				one := make([]byte, 1)
				for {
					if _, err := conn.NetConn().Read(one); err != nil {
						return err
					}
					a.wait(rest)
				}
			})
		})
	},
}, {
	Name:  "comeback",
	What:  "300 clients join a room of 10,000 messages of 1 KB at once, and read all of them",
	Limit: "pages of 256 KiB, each encoded once for all clients; 32 MiB of memory for the histories of all rooms",
	Flags: []string{"-keep-messages", "10000", "-address-rate", "1000", "-post-rate", "1000000", "-address-posts", "0", "-sync", "1s"}, // to fill the room in seconds
	Least: 30 * time.Second,
	run: func(a *attacker) {
		token, err := a.Token(a.ctx, "bad")
		a.refused(err)
		a.post(token, 10_000, strings.Repeat("a", 1000))
		begin := time.Now()
		var all sync.WaitGroup
		for range 300 {
			all.Go(func() { a.refused(a.readAll(token)) })
		}
		all.Wait()
		a.done.Add(fmt.Sprintf("all of them within %v s; room", math.Ceil(time.Since(begin).Seconds())), 1)
		<-a.ctx.Done()
	},
}, {
	Name:  "answers",
	What:  "450 clients request messages over HTTP, again and again, and never read the responses",
	Limit: "`-address-rate`, 50 reads a second per address, where a long one counts once more for each 32 KiB; 8 responses of 256 KiB in progress per address; a minute for each",
	run: func(a *attacker) {
		a.fill(200, strings.Repeat("語", 2000))
		token, err := a.Token(a.ctx, "bad")
		a.refused(err)
		request := fmt.Sprintf("GET /chat/lobby/messages?limit=200 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", token)
		a.each(450, func(int) error {
			conn, err := a.Dial(a.ctx, "tcp", a.Addr)
			if err != nil {
				return err
			}
			defer conn.Close()
			defer context.AfterFunc(a.ctx, func() { conn.Close() })()
			conn.(interface{ SetReadBuffer(int) error }).SetReadBuffer(4096)
			for {
				if _, err := io.WriteString(conn, request); err != nil {
					return err
				}
				a.wait(rest)
			}
		})
	},
}, {
	Name:  "posts-long",
	What:  "100 connections send posts of 1 MB as quickly as they can",
	Limit: "16 KiB per post: a longer one is refused unread, and its connection is closed if it continues",
	run: func(a *attacker) {
		text := fmt.Sprintf(`{"type":"post","id":"a","text":"%s"}`, strings.Repeat("a", 1_000_000))
		a.chatting(100, func(conn *websocket.Conn, _ int) error {
			return a.floodPrepared(conn, prepare(websocket.TextMessage, []byte(text)))
		})
	},
}, {
	Name:  "posts",
	What:  "400 connections of one address post to one room as quickly as they can",
	Limit: "`-post-rate`, 20 a second per connection; `-address-posts`, 200 per address",
	run: func(a *attacker) {
		a.chatting(400, func(conn *websocket.Conn, i int) error {
			n := 0
			return a.flood(conn, func() (int, []byte) {
				n++
				a.wait(rest / 4)
				return websocket.TextMessage, fmt.Appendf(nil, `{"type":"post","id":"%d-%d","text":"bad"}`, i, n)
			})
		})
	},
}}

// chatting opens connections to the chat room, and lets f use them.
func (a *attacker) chatting(connections int, f func(conn *websocket.Conn, i int) error) {
	token, err := a.Token(a.ctx, "bad")
	a.refused(err)
	a.each(connections, func(i int) error {
		path, err := a.Seat(a.ctx, token)
		if err != nil {
			return err
		}
		return a.opened(path, func(conn *websocket.Conn) error {
			a.done.Add("join", 1)
			return f(conn, i)
		})
	})
}

// post posts messages to the room over HTTP.
func (a *attacker) post(token string, messages int, text string) {
	const workers = 20
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			for n := range messages / workers {
				body := fmt.Appendf(nil, `{"id":"%d-%d","text":"%s"}`, i, n, text)
				if _, err := a.Ask(a.ctx, http.MethodPost, "/chat/lobby/messages", token, body); err != nil {
					a.refused(err)
					continue
				}
				a.done.Add("message", 1)
			}
		})
	}
	all.Wait()
}

// readAll joins the room and reads its whole history.
func (a *attacker) readAll(token string) error {
	path, err := a.Seat(a.ctx, token)
	if err != nil {
		return err
	}
	return a.opened(path+"&after=0", func(conn *websocket.Conn) error {
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		conn.SetReadLimit(1 << 30)
		for {
			_, page, err := conn.ReadMessage()
			if err != nil {
				return err
			}
			a.done.Add("message read", bytes.Count(page, []byte(`{"seq":`)))
			if bytes.HasSuffix(page, []byte(`"more":false}`)) {
				a.done.Add("history", 1)
				return nil
			}
		}
	})
}

// fill fills the room with messages, from as many connections as the limits require.
func (a *attacker) fill(messages int, text string) {
	const each = 40 // the burst of one connection
	token, err := a.Token(a.ctx, "bad")
	a.refused(err)
	var all sync.WaitGroup
	for i := range messages / each {
		all.Go(func() {
			path, err := a.Seat(a.ctx, token)
			if err == nil {
				err = a.opened(path, func(conn *websocket.Conn) error {
					conn.SetReadDeadline(time.Now().Add(2 * visit.Patience))
					for n := range each {
						if err := conn.WriteJSON(map[string]string{"type": "post", "id": fmt.Sprintf("%d-%d", i, n), "text": text}); err != nil {
							return err
						}
					}
					for acks := 0; acks < each; {
						_, m, err := conn.ReadMessage()
						if err != nil {
							return err
						}
						if bytes.Contains(m, []byte(`"type":"ack"`)) || bytes.Contains(m, []byte(`"type":"error"`)) {
							acks++
						}
					}
					a.done.Add("message", each)
					return nil
				})
			}
			a.refused(err)
		})
	}
	all.Wait()
}
