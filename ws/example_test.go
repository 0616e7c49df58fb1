package ws_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// demo serves an App's routes for an example, and returns where, and what ends it.
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

// client dials, prints each message, and returns when the connection has ended.
func client(url string, say ...string) {
	s, err := ws.Dial(context.Background(), url, ws.DialConfig{}, func(s *ws.Socket) error {
		s.OnMessage(func(m ws.Message) error { fmt.Println(m.Text()); return nil })
		s.OnClose(func(code ws.CloseCode, reason string) { fmt.Println(code, reason) })
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range say {
		s.SendText(text)
	}
	<-s.Done()
	ended := make(chan struct{})
	s.OnClose(func(ws.CloseCode, string) { close(ended) })
	<-ended
}

// The express-ws way: a route, a callback, a reply.
func Example() {
	e := echo.New()
	app := ws.New(e, ws.Config{})
	app.WS("/ws", func(s *ws.Socket, c echo.Context) error {
		s.OnMessage(func(m ws.Message) error {
			return s.SendText("you said: " + m.Text())
		})
		return nil
	})
	// e.Start(":3000")
}

// JSON in, JSON out. An error that is no CloseError ends the socket with 1011.
func ExampleMessage_JSON() {
	url, end := demo(func(app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(func(m ws.Message) error {
				var q struct{ A, B int }
				if err := m.JSON(&q); err != nil {
					return &ws.CloseError{Code: ws.CloseUnsupportedData, Reason: "not what was expected"}
				}
				return s.SendJSON(map[string]int{"sum": q.A + q.B})
			})
			return nil
		})
	})
	defer end()
	client(url, `{"a":1,"b":2}`, `neither`)
	// Output:
	// {"sum":3}
	// 1003 not what was expected
}

// Who connects joins the route's sockets, and Broadcast reaches them all.
func ExampleSocket_Broadcast() {
	url, end := demo(func(app *ws.App) {
		app.WS("/chat", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(func(m ws.Message) error {
				if m.Text() == "bye" {
					return s.Close(ws.CloseNormal, "bye")
				}
				return s.Broadcast(m)
			})
			return nil
		})
	})
	defer end()
	client(url+"/chat", "hello, all", "bye")
	// Output:
	// hello, all
	// 1000 bye
}

// What belongs to a connection is kept under a Key.
func ExampleKey() {
	var visits = ws.NewKey[int]("visits")
	url, end := demo(func(app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(func(m ws.Message) error {
				n, _ := visits.Get(s)
				visits.Set(s, n+1)
				if n == 2 {
					return &ws.CloseError{Code: 4000, Reason: "three are enough"}
				}
				return s.SendText(fmt.Sprint("message ", n+1))
			})
			return nil
		})
	})
	defer end()
	client(url, "a", "b", "c")
	// Output:
	// message 1
	// message 2
	// 4000 three are enough
}

// Middleware of Echo runs before the upgrade: what it refuses is an HTTP answer.
func ExampleApp_WS_middleware() {
	url, end := demo(func(app *ws.App) {
		needToken := func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				if c.QueryParam("token") != "secret" {
					return echo.ErrUnauthorized
				}
				return next(c)
			}
		}
		app.WS("/rooms/:id", func(s *ws.Socket, c echo.Context) error {
			s.SendText("welcome to " + s.Param("id"))
			return s.Close(ws.CloseNormal, "")
		}, needToken)
	})
	defer end()
	_, err := ws.Dial(context.Background(), url+"/rooms/7", ws.DialConfig{}, nil)
	var refused *ws.HandshakeError
	fmt.Println(errors.As(err, &refused), refused.StatusCode)
	client(url + "/rooms/7?token=secret")
	// Output:
	// true 401
	// welcome to 7
	// 1000
}

// A route has settings of its own.
func ExampleApp_WSWithConfig() {
	url, end := demo(func(app *ws.App) {
		app.WSWithConfig("/small", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(s.Send)
			return nil
		}, ws.RouteConfig{MaxMessage: 10, MessageRate: 100, Compression: ws.CompressionOn})
	})
	defer end()
	client(url+"/small", "ten bytes.", "more than ten")
	// Output:
	// ten bytes.
	// 1009 message is too long
}

// A message for many is encoded once.
func ExamplePrepare() {
	url, end := demo(func(app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			p, err := ws.Prepare(ws.Message{Opcode: ws.Text, Data: []byte("for many")})
			if err != nil {
				return err
			}
			for other := range s.Route().Sockets() {
				other.Offer(p) // waits for nobody
			}
			return s.Close(ws.CloseNormal, "")
		})
	})
	defer end()
	client(url)
	// Output:
	// for many
	// 1000
}

// A script talks to a server.
func ExampleDial() {
	url, end := demo(func(app *ws.App) {
		app.WS("/echo", func(s *ws.Socket, c echo.Context) error { s.OnMessage(s.Send); return nil })
	})
	defer end()

	answer := make(chan string, 1)
	s, err := ws.Dial(context.Background(), url+"/echo", ws.DialConfig{}, func(s *ws.Socket) error {
		s.OnMessage(func(m ws.Message) error { answer <- m.Text(); return nil })
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	s.SendText("Hello")
	fmt.Println(<-answer)
	s.Close(ws.CloseNormal, "")
	<-s.Done()
	// Output: Hello
}

// A graceful end: no newcomers, 1012 for those who are there, and a bound.
func ExampleApp_Shutdown() {
	e := echo.New()
	app := ws.New(e, ws.Config{})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := app.Shutdown(ctx); err != nil {
		fmt.Println("some sockets did not end in time:", err)
	}
	e.Close()
	// Output:
}

// SendContext waits for room no longer than its context lives.
func ExampleSocket_SendContext() {
	url, end := demo(func(app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			ctx, cancel := context.WithTimeout(s.Context(), time.Second)
			defer cancel()
			if err := s.SendContext(ctx, ws.Message{Opcode: ws.Text, Data: []byte("in time")}); err != nil {
				return err
			}
			return s.Close(ws.CloseNormal, "")
		})
	})
	defer end()
	client(url)
	// Output:
	// in time
	// 1000
}
