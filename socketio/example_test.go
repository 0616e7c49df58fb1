package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/net/websocket"

	"echows/socketio"
	"echows/ws"
)

// demo serves namespaces for an example, and returns the URL and a function that ends it.
func demo(setup func(io *socketio.Server)) (url string, end func()) {
	e, quiet := echo.New(), slog.New(slog.DiscardHandler)
	app := ws.New(e, ws.Config{Logger: quiet})
	io := socketio.New(app, socketio.Config{Logger: quiet})
	setup(io)
	server := httptest.NewServer(e)
	return server.URL, func() {
		io.Close()
		app.Shutdown(context.Background())
		server.Close()
	}
}

// browser stands for a page with the official client. It sends and prints the client's packets.
type browser struct{ conn *websocket.Conn }

// open connects to a namespace: io(url + namespace, { auth }). The first packet that hear prints is the answer, without
// the id.
func open(url, namespace, auth string) browser {
	conn, err := websocket.Dial("ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO=4&transport=websocket", "", url)
	if err != nil {
		panic(err)
	}
	b := browser{conn}
	b.next() // the transport's handshake
	b.send("40" + strings.TrimSuffix(namespace+",", "/,") + auth)
	return b
}

func (b browser) send(packet string) {
	if err := websocket.Message.Send(b.conn, packet); err != nil {
		panic(err)
	}
}

func (b browser) sendBytes(data []byte) {
	if err := websocket.Message.Send(b.conn, data); err != nil {
		panic(err)
	}
}

var anyID = regexp.MustCompile(`"sid":"[^"]*"`)

// next returns the next packet that is not a ping.
func (b browser) next() string {
	for {
		var packet []byte
		switch err := websocket.Message.Receive(b.conn, &packet); {
		case err != nil:
			return "closed"
		case string(packet) != "2":
			return anyID.ReplaceAllString(string(packet), `"sid":"…"`)
		}
	}
}

// hear prints the next packets.
func (b browser) hear(packets int) {
	for range packets {
		fmt.Println(b.next())
	}
}

// A complete server: it answers an event with an acknowledgement, and forwards a client's message to all.
func Example() {
	e := echo.New()
	app := ws.New(e, ws.Config{})
	io := socketio.New(app, socketio.Config{})
	io.OnConnect(func(s *socketio.Socket) error {
		socketio.On(s, "say", func(e socketio.Event, text string) error {
			io.Emit("said", s.ID(), text)
			return e.Ack("everybody heard it")
		})
		return nil
	})
	// ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	// go e.Start(":3000")
	// <-ctx.Done()
	io.Close()                         // tells clients, and answers waiting requests
	app.Shutdown(context.Background()) // closes WebSockets with 1012, so clients reconnect soon
	e.Shutdown(context.Background())
}

// In the browser: socket.emit("add", [1, 2], (sum) => …). A client that sends something else is told what is expected.
func ExampleOn() {
	url, end := demo(func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) error {
			socketio.On(s, "add", func(e socketio.Event, numbers []int) error {
				sum := 0
				for _, n := range numbers {
					sum += n
				}
				return e.Ack(sum)
			})
			return nil
		})
	})
	defer end()

	ana := open(url, "/", "")
	ana.send(`420["add",[1,2]]`)
	ana.send(`421["add","three"]`)
	ana.hear(3)
	// Output:
	// 40{"sid":"…"}
	// 430[3]
	// 42["error",{"event":"add","message":"argument 1 of \"add\" must be a list, not text"}]
}

// The server asks one client and waits for its answer, in a new goroutine, because the goroutine that calls listeners also
// reads the answer.
func ExampleEmitWithAck() {
	answers := make(chan string, 1)
	url, end := demo(func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) error {
			go func() {
				ctx, cancel := context.WithTimeout(s.Context(), 10*time.Second)
				defer cancel()
				answer, err := socketio.EmitWithAck[string](ctx, s, "how are you?")
				answers <- fmt.Sprint(answer, " ", err)
			}()
			return nil
		})
	})
	defer end()

	ana := open(url, "/", "")
	ana.hear(2)
	ana.send(`431["fine"]`)
	fmt.Println(<-answers)
	// Output:
	// 40{"sid":"…"}
	// 421["how are you?"]
	// fine <nil>
}

// Only the server knows the rooms: a client asks to join, and the server decides.
func ExampleSocket_Join() {
	url, end := demo(func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) error {
			socketio.On(s, "join", func(e socketio.Event, room string) error {
				if err := s.Join(room); err != nil {
					return err
				}
				s.To(room).Emit("news", "somebody joined") // the others in it
				return e.Ack()
			})
			socketio.On(s, "say", func(e socketio.Event, text string) error {
				return io.To("kitchen").Emit("said", text) // all in it
			})
			return nil
		})
	})
	defer end()

	ana, bea, cem := open(url, "/", ""), open(url, "/", ""), open(url, "/", "")
	ana.send(`420["join","kitchen"]`)
	ana.hear(2)
	bea.send(`420["join","kitchen"]`)
	bea.hear(2)
	cem.send(`42["say","dinner is ready"]`) // is not in the room
	ana.hear(2)
	bea.hear(1)
	// Output:
	// 40{"sid":"…"}
	// 430[]
	// 40{"sid":"…"}
	// 430[]
	// 42["news","somebody joined"]
	// 42["said","dinner is ready"]
	// 42["said","dinner is ready"]
}

// Namespaces share a client's connection but nothing else.
func ExampleServer_Of() {
	url, end := demo(func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) error { return s.Emit("welcome", "to everybody") })
		io.Of("/admin").OnConnect(func(s *socketio.Socket) error { return s.Emit("welcome", "to the few") })
		io.OfMatch(regexp.MustCompile(`/shop-\d+`)).OnConnect(func(s *socketio.Socket) error {
			return s.Emit("welcome", "to "+s.Namespace().Name())
		})
	})
	defer end()

	ana := open(url, "/", "") // one connection
	ana.send("40/admin,")
	ana.send("40/shop-7,")
	ana.send("40/nowhere,")
	ana.hear(7)
	// Output:
	// 40{"sid":"…"}
	// 42["welcome","to everybody"]
	// 40/admin,{"sid":"…"}
	// 42/admin,["welcome","to the few"]
	// 40/shop-7,{"sid":"…"}
	// 42/shop-7,["welcome","to /shop-7"]
	// 44/nowhere,{"message":"Invalid namespace"}
}

// A Use function decides which clients may connect, and stores the user on the socket. In the browser:
// io(url, { auth: { token } }) and socket.on("connect_error", (err) => err.message, err.data).
func ExampleNamespace_Use() {
	user := socketio.NewKey[string]("user") // a package variable, elsewhere
	url, end := demo(func(io *socketio.Server) {
		io.Use(func(s *socketio.Socket) error {
			var auth struct {
				Token string `json:"token"`
			}
			if err := s.Auth(&auth); err != nil {
				return err
			}
			if auth.Token != "a good one" {
				return &socketio.Refusal{Message: "sign in first", Data: map[string]string{"at": "/login"}}
			}
			user.Set(s, "ana")
			return nil
		})
		io.OnConnect(func(s *socketio.Socket) error {
			name, _ := user.Get(s)
			return s.Emit("hello", name)
		})
	})
	defer end()

	open(url, "/", `{"token":"a good one"}`).hear(2)
	open(url, "/", `{"token":"a bad one"}`).hear(1)
	open(url, "/", `{"token":["a","list"]}`).hear(1)
	// Output:
	// 40{"sid":"…"}
	// 42["hello","ana"]
	// 44{"message":"sign in first","data":{"at":"/login"}}
	// 44{"message":"\"token\" in auth must be text, not a list"}
}

// The server asks all clients at the same time. It gets the answers that arrive in time, and the number of missing ones.
func ExampleEmitter_EmitWithAck() {
	var io *socketio.Server
	url, end := demo(func(server *socketio.Server) { io = server })
	defer end()
	ana, bea := open(url, "/", ""), open(url, "/", "")
	ana.hear(1)
	bea.hear(1)

	go func() {
		fmt.Println("ana is asked:", ana.next())
		ana.send(`431["tea"]`)
		bea.next() // but does not answer
		bea.send("41")
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	answers, err := io.EmitWithAck(ctx, "tea or coffee?")
	for _, a := range answers {
		var drink string
		if a.Arg(0).Decode(&drink) == nil {
			fmt.Println("somebody wants", drink)
		}
	}
	if missing := (*socketio.MissingError)(nil); errors.As(err, &missing) {
		fmt.Println("missing:", missing.Missing)
	}
	// Output:
	// 40{"sid":"…"}
	// 40{"sid":"…"}
	// ana is asked: 421["tea or coffee?"]
	// somebody wants tea
	// missing: 1
}

// A []byte is sent as binary data in both directions: in an attachment, for which the event has a placeholder.
func ExampleSocket_Emit_binary() {
	url, end := demo(func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) error {
			socketio.On(s, "reverse", func(e socketio.Event, data []byte) error {
				slices.Reverse(data)
				return s.Emit("reversed", map[string]any{"size": len(data), "data": data})
			})
			return nil
		})
	})
	defer end()

	ana := open(url, "/", "")
	ana.send(`451-["reverse",{"_placeholder":true,"num":0}]`)
	ana.sendBytes([]byte("abc"))
	ana.hear(3)
	// Output:
	// 40{"sid":"…"}
	// 451-["reversed",{"data":{"_placeholder":true,"num":0},"size":3}]
	// cba
}

// Disconnect(false) ends one socket, and Disconnect(true) the whole connection. In either case the official client does not
// reconnect by itself.
func ExampleSocket_Disconnect() {
	left := make(chan string, 1)
	url, end := demo(func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) error {
			s.OnDisconnect(func(reason string) { left <- reason })
			s.On("bye", func(socketio.Event) error {
				s.Emit("bye")
				s.Disconnect(true)
				return nil
			})
			return nil
		})
	})
	defer end()

	ana := open(url, "/", "")
	ana.send(`42["bye"]`)
	ana.hear(4)
	fmt.Println(<-left)
	// Output:
	// 40{"sid":"…"}
	// 42["bye"]
	// 41
	// closed
	// server namespace disconnect
}
