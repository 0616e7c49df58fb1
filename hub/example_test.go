package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"

	"github.com/labstack/echo/v4"

	"echows/hub"
	"echows/ws"
)

// demo serves an App's routes for an example, and returns their address and a function that ends it.
func demo(setup func(app *ws.App)) (url string, end func()) {
	e := echo.New()
	app := ws.New(e, ws.Config{Logger: slog.New(slog.DiscardHandler)})
	setup(app)
	server := httptest.NewServer(e)
	return strings.Replace(server.URL, "http", "ws", 1), func() {
		app.Shutdown(context.Background())
		server.Close()
	}
}

// listener is a client that lets the example wait for messages.
type listener struct {
	socket *ws.Socket
	heard  chan string
}

func listen(url string) listener {
	l := listener{heard: make(chan string, 10)}
	s, err := ws.Dial(context.Background(), url, ws.DialConfig{}, func(s *ws.Socket) error {
		s.OnMessage(func(m ws.Message) error { l.heard <- m.Text(); return nil })
		s.OnClose(func(ws.CloseCode, string) { close(l.heard) })
		return nil
	})
	if err != nil {
		panic(err)
	}
	l.socket = s
	return l
}

// A chat of many rooms: each client joins the room in the path, and messages reach the room's members.
func Example() {
	rooms := hub.New()
	url, end := demo(func(app *ws.App) {
		app.WS("/rooms/:room", func(s *ws.Socket, c echo.Context) error {
			room := s.Param("room")
			if err := rooms.Join(room, s); err != nil {
				return err
			}
			s.OnMessage(func(m ws.Message) error { return rooms.Broadcast(room, m) })
			return s.SendText("welcome to " + room)
		})
	})
	defer end()

	ana, bob, eve := listen(url+"/rooms/tea"), listen(url+"/rooms/tea"), listen(url+"/rooms/coffee")
	fmt.Println(<-ana.heard, "|", <-bob.heard, "|", <-eve.heard)
	ana.socket.SendText("hello")
	fmt.Println(<-ana.heard, "|", <-bob.heard)
	fmt.Println(rooms.Len("tea"), "drink tea in one of", rooms.Topics(), "rooms")
	// Output:
	// welcome to tea | welcome to tea | welcome to coffee
	// hello | hello
	// 2 drink tea in one of 2 rooms
}

// A message to all members except its sender.
func ExampleHub_Broadcast() {
	h := hub.New()
	url, end := demo(func(app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			if err := h.Join("news", s); err != nil {
				return err
			}
			s.OnMessage(func(m ws.Message) error { return h.Broadcast("news", m, s) })
			return s.SendText("ready")
		})
	})
	defer end()

	ana, bob := listen(url), listen(url)
	<-ana.heard
	<-bob.heard
	ana.socket.SendText("from ana")
	fmt.Println(<-bob.heard)
	bob.socket.SendText("from bob")
	fmt.Println(<-ana.heard)
	// Output:
	// from ana
	// from bob
}

// One socket is in many topics, and leaves one; the others end with the socket.
func ExampleHub_Leave() {
	h := hub.New()
	url, end := demo(func(app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			for _, topic := range []string{"prices", "news", "weather"} {
				if err := h.Join(topic, s); err != nil {
					return err
				}
			}
			h.Leave("news", s)
			return s.SendText("joined")
		})
	})
	defer end()

	fmt.Println(<-listen(url).heard)
	for _, topic := range []string{"prices", "news", "weather"} {
		fmt.Println(topic, h.Len(topic))
		h.Broadcast(topic, ws.Message{Opcode: ws.Text, Data: []byte("about " + topic)})
	}
	// Output:
	// joined
	// prices 1
	// news 0
	// weather 1
}

// A message that is sent again and again is encoded once.
func ExampleHub_BroadcastPrepared() {
	h := hub.New()
	url, end := demo(func(app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			if err := h.Join("clock", s); err != nil {
				return err
			}
			return s.SendText("ready")
		})
	})
	defer end()

	tick, err := ws.Prepare(ws.Message{Opcode: ws.Text, Data: []byte("tick")})
	if err != nil {
		fmt.Println(err)
		return
	}
	ana := listen(url)
	fmt.Println(<-ana.heard)
	for range 3 {
		h.BroadcastPrepared("clock", tick)
		fmt.Println(<-ana.heard)
	}
	// Output:
	// ready
	// tick
	// tick
	// tick
}

// If sockets have joined a topic, its members are sockets, and a ws.Key has each one's data.
func ExampleHub_Members() {
	h := hub.New()
	name := ws.NewKey[string]("name")
	url, end := demo(func(app *ws.App) {
		app.WS("/:name", func(s *ws.Socket, c echo.Context) error {
			name.Set(s, s.Param("name"))
			if err := h.Join("lobby", s); err != nil {
				return err
			}
			return s.SendText("ready")
		})
	})
	defer end()

	<-listen(url + "/ana").heard
	for m := range h.Members("lobby") {
		if s, ok := m.(*ws.Socket); ok {
			fmt.Println(name.Get(s))
		}
	}
	// Output: ana true
}
