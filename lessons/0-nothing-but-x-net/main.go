// Everyone who is connected hears what one of them says: a chat, with golang.org/x/net/websocket and Echo alone.
package main

import (
	"sync"

	"github.com/labstack/echo/v4"
	"golang.org/x/net/websocket"
)

// room is everyone who is connected.
type room struct {
	mu      sync.Mutex
	members map[*websocket.Conn]bool
}

// serve is called once for each connection, and stays until it ends.
func (r *room) serve(conn *websocket.Conn) {
	r.mu.Lock()
	r.members[conn] = true
	r.mu.Unlock()

	for {
		var text string
		if err := websocket.Message.Receive(conn, &text); err != nil {
			break
		}
		r.mu.Lock()
		for member := range r.members {
			websocket.Message.Send(member, text)
		}
		r.mu.Unlock()
	}

	r.mu.Lock()
	delete(r.members, conn)
	r.mu.Unlock()
}

func newServer() (*echo.Echo, *room) {
	r := &room{members: make(map[*websocket.Conn]bool)}
	e := echo.New()
	e.GET("/ws", echo.WrapHandler(websocket.Handler(r.serve)))
	return e, r
}

func main() {
	e, _ := newServer()
	e.Logger.Fatal(e.Start(":3000"))
}
