package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
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
	"echows/socketio"
	"echows/ws"
)

// server is a server that can be measured. Each answers /echo, and /broadcast if it broadcasts, or what
// events.go and chats.go ask for, the way its own documentation shows.
type server struct {
	run        func(net.Listener) error
	command    []string // instead of run: another program, which prints its address
	sort       string   // of loads
	raw        bool     // plain TCP, the lower bound
	broadcasts bool
	pings      bool // by itself, within a minute

	// broker starts what connects the processes of a server with several, and returns its URL.
	broker func(temp string) ([]*exec.Cmd, string)
	nodes  int // with a broker; 2 by default
}

// The sorts of loads and servers.
const (
	sortMessages = ""
	sortDeflate  = "deflate"
	sortTLS      = "memory-tls"
	sortEvents   = "events"
	sortRecovery = "recovery"
	sortTwo      = "-two"
	sortChat     = "chat"
	sortNodes    = "nodes"
)

func sort(load string) string {
	if strings.Contains(load, sortTwo) {
		return sortTwo
	}
	for _, s := range []string{sortDeflate, sortTLS, sortEvents, sortRecovery, sortChat, sortNodes} {
		if strings.HasPrefix(load, s) {
			return s
		}
	}
	return sortMessages
}

func (s server) can(load string) bool {
	return sort(load) == s.sort && (!strings.HasPrefix(load, "broadcast") || s.broadcasts) && (load != "nodes-idle" || s.nodes == 3)
}

var servers = map[string]server{
	"echows":  {run: ours(ws.Config{}), broadcasts: true, pings: true},
	"gorilla": {run: withGorilla, broadcasts: true},
	"gws":     {run: withGWS(gws.PermessageDeflate{}), broadcasts: true},
	"melody":  {run: withMelody(false), broadcasts: true},
	"coder":   {run: withCoder},
	"gobwas":  {run: withGobwas},
	"x/net":   {run: withXNet},
	"tcp":     {run: plainTCP(64 << 10), raw: true},

	"echows-tls": {run: ours(ws.Config{}), sort: sortTLS, pings: true},
	"gws-tls":    {run: withGWS(gws.PermessageDeflate{}), sort: sortTLS},
	"tcp-tls":    {run: plainTCP(4 << 10), sort: sortTLS, raw: true},

	"echows-io": {run: oursIO(socketio.Config{}), sort: sortEvents},
	"zishang":   {run: withZishang, sort: sortEvents},

	"echows-io-two": {run: ourTwo, broker: withNATS, sort: sortTwo},

	"echows-io-recovery": {run: oursIO(socketio.Config{Recovery: 2 * time.Minute}), sort: sortRecovery},

	"echows-chat":      {run: ourChat(0), sort: sortChat},
	"echows-chat-1s":   {run: ourChat(time.Second), sort: sortChat},
	"echows-chat-live": {run: liveChat, sort: sortChat},

	"echows-chat-on-1": {run: clusterChat, broker: withCluster, nodes: 1, sort: sortNodes},
	"echows-chat-on-2": {run: clusterChat, broker: withCluster, nodes: 2, sort: sortNodes},
	"echows-chat-on-3": {run: clusterChat, broker: withCluster, nodes: 3, sort: sortNodes},
}

func init() {
	if _, err := os.Stat("node/node_modules"); err == nil { // (cd node && npm ci)
		servers["express-ws"] = server{command: []string{"node", "node/server.mjs"}, broadcasts: true}
		servers["socket.io"] = server{command: []string{"node", "node/socket.io.mjs"}, sort: sortEvents}
		servers["socket.io-recovery"] = server{command: []string{"node", "node/socket.io.mjs", "recovery"}, sort: sortRecovery}
		if _, err := exec.LookPath("redis-server"); err == nil { // apt-get install redis-server
			servers["socket.io-two"] = server{command: []string{"node", "node/socket.io.mjs", "redis"}, broker: withRedis, sort: sortTwo}
		}
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

func ours(cfg ws.Config) func(net.Listener) error {
	return func(l net.Listener) error {
		e := echo.New()
		cfg.Logger = slog.New(slog.DiscardHandler)
		app := ws.New(e, cfg)
		topics := hub.New()
		app.WS("/echo", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(s.Send)
			return nil
		})
		app.WS("/broadcast", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(func(m ws.Message) error { return topics.Broadcast("all", m) })
			return topics.Join("all", s)
		})
		return http.Serve(l, e)
	}
}

func withGorilla(l net.Listener) error {
	var upgrader gorilla.Upgrader
	h := newGorillaHub[[]byte]()
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", gorillaEcho(&upgrader))
	mux.HandleFunc("/broadcast", func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			h.serve(conn, func(message []byte) ([]byte, error) { return message, nil }, writeJoined)
		}
	})
	return http.Serve(l, mux)
}

func gorillaEcho(upgrader *gorilla.Upgrader) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
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
	}
}

// gorillaHub is the hub of gorilla's chat example: a goroutine that owns the clients, and for each
// client a queue of messages, of type M, and a goroutine that writes.
type gorillaHub[M any] struct {
	clients              map[*gorillaClient[M]]bool
	broadcast            chan M
	register, unregister chan *gorillaClient[M]
}

type gorillaClient[M any] struct {
	conn *gorilla.Conn
	send chan M
}

func newGorillaHub[M any]() *gorillaHub[M] {
	h := &gorillaHub[M]{map[*gorillaClient[M]]bool{}, make(chan M), make(chan *gorillaClient[M]), make(chan *gorillaClient[M])}
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

// serve broadcasts what a client sends, encoded by encode, until the client is gone. write writes one message.
func (h *gorillaHub[M]) serve(conn *gorilla.Conn, encode func([]byte) (M, error), write func(*gorillaClient[M], M) error) {
	c := &gorillaClient[M]{conn, make(chan M, 256)}
	h.register <- c
	go func() {
		defer conn.Close()
		for message := range c.send {
			if write(c, message) != nil {
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
		m, err := encode(message)
		if err != nil {
			return
		}
		h.broadcast <- m
	}
}

// writeJoined writes a message and those that wait behind it as one, joined with newlines.
func writeJoined(c *gorillaClient[[]byte], message []byte) error {
	w, err := c.conn.NextWriter(gorilla.BinaryMessage)
	if err != nil {
		return err
	}
	w.Write(message)
	for range len(c.send) {
		w.Write([]byte{'\n'})
		w.Write(<-c.send)
	}
	return w.Close()
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

func withGWS(deflate gws.PermessageDeflate) func(net.Listener) error {
	return func(l net.Listener) error {
		option := func() *gws.ServerOption { return &gws.ServerOption{PermessageDeflate: deflate} }
		back := gws.NewUpgrader(gwsEcho{}, option())
		all := gws.NewUpgrader(gwsAll{members: gws.NewConcurrentMap[string, *gws.Conn](16, 128)}, option())
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
		return http.Serve(l, mux)
	}
}

func withMelody(deflate bool) func(net.Listener) error {
	return func(l net.Listener) error {
		back, all := melody.New(), melody.New()
		for _, m := range []*melody.Melody{back, all} {
			m.Config.MaxMessageSize = 1 << 20
			m.Upgrader.EnableCompression = deflate
		}
		back.HandleMessage(func(s *melody.Session, message []byte) { s.Write(message) })
		back.HandleMessageBinary(func(s *melody.Session, message []byte) { s.WriteBinary(message) })
		all.HandleMessage(func(s *melody.Session, message []byte) { all.Broadcast(message) })
		all.HandleMessageBinary(func(s *melody.Session, message []byte) { all.BroadcastBinary(message) })
		mux := http.NewServeMux()
		mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { back.HandleRequest(w, r) })
		mux.HandleFunc("/broadcast", func(w http.ResponseWriter, r *http.Request) { all.HandleRequest(w, r) })
		return http.Serve(l, mux)
	}
}

func withCoder(l net.Listener) error {
	return http.Serve(l, acceptCoder(coder.CompressionDisabled, coderEcho))
}

func acceptCoder(mode coder.CompressionMode, serve func(context.Context, *coder.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := coder.Accept(w, r, &coder.AcceptOptions{CompressionMode: mode})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(1 << 20)
		serve(r.Context(), conn)
	}
}

func coderEcho(ctx context.Context, conn *coder.Conn) {
	for {
		kind, message, err := conn.Read(ctx)
		if err != nil || conn.Write(ctx, kind, message) != nil {
			return
		}
	}
}

func withGobwas(l net.Listener) error {
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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

func withXNet(l net.Listener) error {
	return http.Serve(l, xnet.Server{Handler: func(conn *xnet.Conn) {
		for {
			var message []byte
			if xnet.Message.Receive(conn, &message) != nil || xnet.Message.Send(conn, message) != nil {
				return
			}
		}
	}})
}

// plainTCP echoes bytes, as many at a time as fit into its buffer.
func plainTCP(buffer int) func(net.Listener) error {
	return func(l net.Listener) error {
		for {
			conn, err := l.Accept()
			if err != nil {
				return err
			}
			go echoBytes(conn, make([]byte, buffer))
		}
	}
}

func echoBytes(conn net.Conn, buf []byte) {
	defer conn.Close()
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return
		}
	}
}
