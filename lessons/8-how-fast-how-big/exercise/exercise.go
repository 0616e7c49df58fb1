// Package exercise is a room that tells its members news. Make its test pass:
//
//	go test ./lessons/8-how-fast-how-big/exercise
package exercise

import (
	"sync"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// Room is a room at /room.
type Room struct {
	mu      sync.Mutex // guards members
	members map[*ws.Socket]bool
}

// New returns a server, and the room that it has at /room.
func New() (*echo.Echo, *Room) {
	e, r := echo.New(), &Room{members: make(map[*ws.Socket]bool)}
	app := ws.New(e, ws.Config{})
	app.WS("/room", r.join)
	return e, r
}

func (r *Room) join(s *ws.Socket, c echo.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[s] = true
	s.OnClose(func(ws.CloseCode, string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.members, s)
	})
	return s.SendText("welcome")
}

// Tell sends news to every member, as JSON.
func (r *Room) Tell(news any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.members {
		s.SendJSON(news) // Yours to change: this makes JSON of the news again for each member.
	}
	return nil
}
