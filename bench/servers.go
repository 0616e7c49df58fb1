package main

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	coder "github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/labstack/echo/v4"
	"github.com/lxzan/gws"
	"github.com/olahol/melody"
	xnet "golang.org/x/net/websocket"

	"echows/hub"
	"echows/ws"
)

// server is one that can be measured. Each answers /echo, and /broadcast if it says so, or what events.go
// and chats.go ask for, the way its own documentation shows.
type server struct {
	run        func(listening func(addr string)) error
	command    []string // instead of run: another program, which prints its address
	sort       string   // of loads
	raw        bool     // plain TCP, the floor
	broadcasts bool
}

// The sorts of loads and servers.
const (
	sortMessages = ""
	sortEvents   = "events"
	sortChat     = "chat"
)

func sort(load string) string {
	for _, s := range []string{sortEvents, sortChat} {
		if strings.HasPrefix(load, s) {
			return s
		}
	}
	return sortMessages
}

func (s server) can(load string) bool {
	return sort(load) == s.sort && (load != "broadcast" || s.broadcasts) && (load != "memory" || s.command == nil)
}

var servers = map[string]server{
	"echows":  {run: ours, broadcasts: true},
	"gorilla": {run: withGorilla, broadcasts: true},
	"gws":     {run: withGWS, broadcasts: true},
	"melody":  {run: withMelody, broadcasts: true},
	"coder":   {run: withCoder},
	"gobwas":  {run: withGobwas},
	"x/net":   {run: withXNet},
	"tcp":     {run: plainTCP, raw: true},

	"echows-io": {run: oursIO, sort: sortEvents},
	"zishang":   {run: withZishang, sort: sortEvents},

	"echows-chat":      {run: ourChat(0), sort: sortChat},
	"echows-chat-1s":   {run: ourChat(time.Second), sort: sortChat},
	"echows-chat-live": {run: liveChat, sort: sortChat},
}

func init() {
	if _, err := os.Stat("node/node_modules"); err == nil { // (cd node && npm ci)
		servers["express-ws"] = server{command: []string{"node", "node/server.mjs"}, broadcasts: true}
		servers["socket.io"] = server{command: []string{"node", "node/socket.io.mjs"}, sort: sortEvents}
	}
}

func names() []string {
	var all []string
	for name := range servers {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// listen serves HTTP on a free port.
func listen(listening func(string), h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	listening(l.Addr().String())
	return http.Serve(l, h)
}

func ours(listening func(string)) error {
	e := echo.New()
	app := ws.New(e, ws.Config{Logger: slog.New(slog.DiscardHandler)})
	topics := hub.New()
	app.WS("/echo", func(s *ws.Socket, c echo.Context) error {
		s.OnMessage(s.Send)
		return nil
	})
	app.WS("/broadcast", func(s *ws.Socket, c echo.Context) error {
		s.OnMessage(func(m ws.Message) error { return topics.Broadcast("all", m) })
		return topics.Join(s, "all")
	})
	return listen(listening, e)
}

func withGorilla(listening func(string)) error {
	var upgrader gorilla.Upgrader
	h := newGorillaHub()
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			kind, message, err := conn.ReadMessage()
			if err != nil || conn.WriteMessage(kind, message) != nil {
				return
			}
		}
	})
	mux.HandleFunc("/broadcast", func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			h.serve(conn)
		}
	})
	return listen(listening, mux)
}

// gorillaHub is the hub of gorilla's chat example: a goroutine that owns the clients, and for each
// client a queue and a goroutine that writes, joining what waits with newlines.
type gorillaHub struct {
	clients              map[*gorillaClient]bool
	broadcast            chan []byte
	register, unregister chan *gorillaClient
}

type gorillaClient struct {
	conn *gorilla.Conn
	send chan []byte
}

func newGorillaHub() *gorillaHub {
	h := &gorillaHub{map[*gorillaClient]bool{}, make(chan []byte), make(chan *gorillaClient), make(chan *gorillaClient)}
	go func() {
		for {
			select {
			case c := <-h.register:
				h.clients[c] = true
			case c := <-h.unregister:
				if h.clients[c] {
					delete(h.clients, c)
					close(c.send)
				}
			case message := <-h.broadcast:
				for c := range h.clients {
					select {
					case c.send <- message:
					default:
						close(c.send)
						delete(h.clients, c)
					}
				}
			}
		}
	}()
	return h
}

func (h *gorillaHub) serve(conn *gorilla.Conn) {
	c := &gorillaClient{conn, make(chan []byte, 256)}
	h.register <- c
	go func() {
		defer conn.Close()
		for message := range c.send {
			w, err := conn.NextWriter(gorilla.BinaryMessage)
			if err != nil {
				return
			}
			w.Write(message)
			for range len(c.send) {
				w.Write([]byte{'\n'})
				w.Write(<-c.send)
			}
			if w.Close() != nil {
				return
			}
		}
	}()
	defer func() { h.unregister <- c }()
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		h.broadcast <- message
	}
}

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	c.WriteMessage(m.Opcode, m.Bytes())
}

type gwsAll struct {
	gws.BuiltinEventHandler
	members *gws.ConcurrentMap[string, *gws.Conn]
}

func (h gwsAll) OnOpen(c *gws.Conn)           { h.members.Store(c.RemoteAddr().String(), c) }
func (h gwsAll) OnClose(c *gws.Conn, _ error) { h.members.Delete(c.RemoteAddr().String()) }

func (h gwsAll) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	b := gws.NewBroadcaster(m.Opcode, m.Bytes())
	defer b.Close()
	h.members.Range(func(_ string, member *gws.Conn) bool {
		b.Broadcast(member)
		return true
	})
}

func withGWS(listening func(string)) error {
	back := gws.NewUpgrader(gwsEcho{}, nil)
	all := gws.NewUpgrader(gwsAll{members: gws.NewConcurrentMap[string, *gws.Conn](16, 128)}, nil)
	mux := http.NewServeMux()
	for path, u := range map[string]*gws.Upgrader{"/echo": back, "/broadcast": all} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			conn, err := u.Upgrade(w, r)
			if err != nil {
				return
			}
			go conn.ReadLoop() // as its README shows, so that the request can be collected
		})
	}
	return listen(listening, mux)
}

func withMelody(listening func(string)) error {
	back, all := melody.New(), melody.New()
	for _, m := range []*melody.Melody{back, all} {
		m.Config.MaxMessageSize = 1 << 20
	}
	back.HandleMessageBinary(func(s *melody.Session, message []byte) { s.WriteBinary(message) })
	all.HandleMessageBinary(func(s *melody.Session, message []byte) { all.BroadcastBinary(message) })
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { back.HandleRequest(w, r) })
	mux.HandleFunc("/broadcast", func(w http.ResponseWriter, r *http.Request) { all.HandleRequest(w, r) })
	return listen(listening, mux)
}

func withCoder(listening func(string)) error {
	return listen(listening, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := coder.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(1 << 20)
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil || conn.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	}))
}

func withGobwas(listening func(string)) error {
	return listen(listening, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := gobwas.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			for {
				message, op, err := wsutil.ReadClientData(conn)
				if err != nil || wsutil.WriteServerMessage(conn, op, message) != nil {
					return
				}
			}
		}()
	}))
}

func withXNet(listening func(string)) error {
	return listen(listening, xnet.Server{Handler: func(conn *xnet.Conn) {
		for {
			var message []byte
			if xnet.Message.Receive(conn, &message) != nil || xnet.Message.Send(conn, message) != nil {
				return
			}
		}
	}})
}

func plainTCP(listening func(string)) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	listening(l.Addr().String())
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			buf := make([]byte, 64<<10)
			for {
				n, err := conn.Read(buf)
				if err != nil {
					return
				}
				if _, err := conn.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
	}
}
