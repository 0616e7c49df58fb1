package ws_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

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

// client dials, prints each message, and returns when the connection has ended.
func client(url string, say ...string) {
	s, err := ws.Dial(context.Background(), url, ws.DialConfig{}, func(s *ws.Socket) error {
		s.OnMessage(func(m ws.Message) error { fmt.Println(m.Text()); return nil })
		s.OnClose(func(code ws.CloseCode, reason string) { fmt.Println(code, reason) })
		return nil
	})
	if err != nil {
		fmt.Println(errors.Unwrap(err))
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
	app := ws.New(e, ws.Config{Logger: slog.New(slog.DiscardHandler)})
	app.WS("/ws", func(s *ws.Socket, c echo.Context) error {
		s.OnMessage(func(m ws.Message) error {
			return s.SendText("you said: " + m.Text())
		})
		return nil
	})
	// e.Start(":3000") serves it; here, a test's server does.
	server := httptest.NewServer(e)
	defer server.Close()
	defer app.Shutdown(context.Background())

	answer := make(chan string, 1)
	s, err := ws.Dial(context.Background(), server.URL+"/ws", ws.DialConfig{}, func(s *ws.Socket) error {
		s.OnMessage(func(m ws.Message) error { answer <- m.Text(); return nil })
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	s.SendText("Hello")
	fmt.Println(<-answer)
	// Output: you said: Hello
}

// JSON in, JSON out. An error that is not a CloseError closes the socket with 1011.
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

// Every client that connects joins the route's sockets, and Broadcast reaches them all.
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

// A Key keeps data with a connection.
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

// Echo's middleware runs before the upgrade: it refuses with an HTTP answer.
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

// A group has a prefix, which may have parameters, and middleware for all of its routes.
func ExampleApp_Group() {
	url, end := demo(func(app *ws.App) {
		membersOnly := func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				if c.Param("club") != "chess" {
					return echo.NewHTTPError(http.StatusForbidden, "no member of "+c.Param("club"))
				}
				return next(c)
			}
		}
		club := app.Group("/clubs/:club", membersOnly)
		club.WS("/tables/:table", func(s *ws.Socket, c echo.Context) error {
			s.SendText(s.Param("club") + " at table " + s.Param("table"))
			return s.Close(ws.CloseNormal, "")
		})
	})
	defer end()
	client(url + "/clubs/poker/tables/7")
	client(url + "/clubs/chess/tables/7")
	// Output:
	// ws: the server answered 403 Forbidden: {"message":"no member of poker"}
	// chess at table 7
	// 1000
}

// A socket is closed with a code, which tells the client program what to do next, and a reason for people.
func ExampleSocket_Close() {
	const closeKicked ws.CloseCode = 4001 // 4000–4999 are an application's own
	url, end := demo(func(app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(func(m ws.Message) error { return s.Close(closeKicked, "the game is over") })
			s.OnClose(func(code ws.CloseCode, reason string) {
				// Runs once, however the connection ended.
			})
			return nil
		})
	})
	defer end()
	client(url, "another move")
	// Output: 4001 the game is over
}

// A callback's error closes its socket: a CloseError with its own code, any other error with 1011, and it is logged.
func ExampleCloseError() {
	url, end := demo(func(app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			s.OnMessage(func(m ws.Message) error {
				if !m.IsText() {
					return &ws.CloseError{Code: ws.CloseUnsupportedData, Reason: "text only"}
				}
				return errors.New("the disk is full") // not for the client
			})
			return nil
		})
	})
	defer end()
	client(url, "some text")
	// Output: 1011 internal error
}

// Limits are set for all routes, and some for one. A refusal before the upgrade is an HTTP answer; an open connection past
// a limit is read more slowly, or closed with a code that says why.
func ExampleConfig() {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect() // always set it: limits count by its address
	app := ws.New(e, ws.Config{
		MaxSockets:        1,    // then 503
		MaxAddressSockets: 100,  // then 429
		MaxMessage:        1000, // bytes; then 1009
		MessageRate:       20,   // a second; then slower
		MaxBuffered:       1 << 20,
		Origins:           []string{"https://example.com"}, // pages from other origins get 403
		Logger:            slog.New(slog.DiscardHandler),
	})
	app.WS("/small", echoBack)
	app.WSWithConfig("/large", echoBack, ws.RouteConfig{MaxMessage: 100_000})
	server := httptest.NewServer(e)
	defer server.Close()
	defer app.Shutdown(context.Background())

	s, err := ws.Dial(context.Background(), server.URL+"/small", ws.DialConfig{}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = ws.Dial(context.Background(), server.URL+"/small", ws.DialConfig{}, nil)
	var refused *ws.HandshakeError
	fmt.Println(errors.As(err, &refused), refused.StatusCode)
	ended := make(chan struct{})
	s.OnClose(func(code ws.CloseCode, reason string) { fmt.Println(code, reason); close(ended) })
	s.SendText(strings.Repeat("x", 1001))
	<-ended
	// Output:
	// true 503
	// 1009 message is too long
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
				other.Offer(p) // does not wait
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

// A graceful shutdown, in bounded time: sockets first, since http.Server does not know them, then the server.
func ExampleApp_Shutdown() {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	app := ws.New(e, ws.Config{Logger: slog.New(slog.DiscardHandler)})
	app.WS("/ws", echoBack)
	listening, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	e.Listener = listening
	served := make(chan error, 1)
	go func() { served <- e.Start("") }()

	ended := make(chan struct{})
	_, err = ws.Dial(context.Background(), "ws://"+listening.Addr().String()+"/ws", ws.DialConfig{}, func(s *ws.Socket) error {
		s.OnClose(func(code ws.CloseCode, reason string) { fmt.Println(code, reason); close(ended) })
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// A program does this after signal.NotifyContext's context is over.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := app.Shutdown(ctx); err != nil {
		fmt.Println("some sockets did not end in time:", err)
	}
	if err := e.Shutdown(ctx); err != nil {
		fmt.Println("some requests did not end in time:", err)
	}
	<-ended
	fmt.Println(<-served)
	// Output:
	// 1012 service restart
	// http: Server closed
}

// SendContext waits for room only until its context ends.
func ExampleSocket_SendContext() {
	url, end := demo(func(app *ws.App) {
		app.WS("/", func(s *ws.Socket, c echo.Context) error {
			ctx, cancel := context.WithTimeout(s.Context(), 20*time.Second)
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
