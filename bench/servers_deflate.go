package main

import (
	"context"
	"net"
	"net/http"
	"sync"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"echows/ws"
)

// The servers with compression on, and otherwise unchanged. gorilla's hub sends what it compressed once,
// as its documentation of PreparedMessage advises, instead of joining waiting messages.
func init() {
	for name, run := range map[string]func(net.Listener) error{
		"echows-deflate":  ours(ws.Config{Compression: ws.CompressionOn}),
		"gorilla-deflate": gorillaDeflate,
		"gws-deflate":     withGWS(gws.PermessageDeflate{Enabled: true}),
		"melody-deflate":  withMelody(true),
		"coder-deflate":   coderDeflate,
	} {
		servers[name] = server{run: run, sort: sortDeflate}
	}
}

func gorillaDeflate(l net.Listener) error {
	upgrader := &gorilla.Upgrader{EnableCompression: true}
	h := newGorillaHub[*gorilla.PreparedMessage]()
	prepare := func(message []byte) (*gorilla.PreparedMessage, error) {
		return gorilla.NewPreparedMessage(gorilla.TextMessage, message)
	}
	write := func(c *gorillaClient[*gorilla.PreparedMessage], message *gorilla.PreparedMessage) error {
		return c.conn.WritePreparedMessage(message)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", gorillaEcho(upgrader))
	mux.HandleFunc("/broadcast", func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			h.serve(conn, prepare, write)
		}
	})
	return http.Serve(l, mux)
}

func coderDeflate(l net.Listener) error {
	all := &coderAll{members: map[*coder.Conn]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", acceptCoder(coder.CompressionNoContextTakeover, coderEcho))
	mux.HandleFunc("/broadcast", acceptCoder(coder.CompressionNoContextTakeover, all.serve))
	return http.Serve(l, mux)
}

// coderAll writes what one member sends to each in turn.
type coderAll struct {
	mu      sync.Mutex
	members map[*coder.Conn]bool
}

func (a *coderAll) serve(ctx context.Context, conn *coder.Conn) {
	a.mu.Lock()
	a.members[conn] = true
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.members, conn)
		a.mu.Unlock()
	}()
	for {
		kind, message, err := conn.Read(ctx)
		if err != nil {
			return
		}
		a.mu.Lock()
		for member := range a.members {
			member.Write(ctx, kind, message)
		}
		a.mu.Unlock()
	}
}
