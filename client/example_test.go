package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/labstack/echo/v4"

	"echows/client"
	"echows/ws"
)

// demo serves a route for an example, and returns its address and a function that ends it.
func demo(handler ws.Handler, middleware ...echo.MiddlewareFunc) (url string, end func()) {
	e := echo.New()
	app := ws.New(e, ws.Config{Logger: slog.New(slog.DiscardHandler)})
	app.WS("/ws", handler, middleware...)
	server := httptest.NewServer(e)
	return server.URL + "/ws", func() {
		app.Shutdown(context.Background())
		server.Close()
	}
}

// answers replies to each message with its text.
func answers(s *ws.Socket, _ echo.Context) error {
	s.OnMessage(func(m ws.Message) error { return s.SendText("you said: " + m.Text()) })
	return nil
}

func ExampleConnect() {
	url, end := demo(answers)
	defer end()

	heard := make(chan string)
	conn := client.Connect(context.Background(), client.URL(url), client.Config{
		OnOpen:    func(s *ws.Socket) error { return s.SendText("hello") }, // also when it comes back
		OnMessage: func(m ws.Message) error { heard <- m.Text(); return nil },
	})
	fmt.Println(<-heard)
	conn.Close(ws.CloseNormal, "")
	<-conn.Done()
	fmt.Println(conn.Err())
	// Output:
	// you said: hello
	// <nil>
}

// A message that cannot be sent at the moment is not kept: the program decides whether it is useful later. (A message that
// must not be lost needs an answer from the server, as with Chat.Post.)
func ExampleConn_SendText() {
	url, end := demo(answers)
	end() // the server goes down

	conn := client.Connect(context.Background(), client.URL(url), client.Config{})
	err := conn.SendText("the temperature is 21 °C")
	if errors.Is(err, client.ErrNotConnected) {
		fmt.Println("not sent; the next one is better")
	}
	conn.Close(ws.CloseNormal, "")
	<-conn.Done()
	// Output:
	// not sent; the next one is better
}

// A server that is too busy answers 503, and says for how long. The client waits for that time plus a random one, which
// doubles with each failure, up to 30 s. Now ends the wait, if the program knows better.
func ExampleConn_Now() {
	busy := make(chan bool, 1)
	busy <- true
	url, end := demo(answers, func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			select {
			case <-busy: // the first time
				c.Response().Header().Set("Retry-After", "60")
				return echo.NewHTTPError(http.StatusServiceUnavailable)
			default:
				return next(c)
			}
		}
	})
	defer end()

	states := make(chan client.State)
	conn := client.Connect(context.Background(), client.URL(url), client.Config{
		OnState: func(state client.State, wait time.Duration, err error) {
			fmt.Println(state)
			if state == client.StateWaiting {
				fmt.Println("for a minute or more:", wait >= time.Minute)
			}
			states <- state
		},
	})
	for state := range states {
		if state == client.StateWaiting {
			conn.Now() // the network is back, say
		}
		if state == client.StateOpen {
			conn.Close(ws.CloseNormal, "")
		}
		if state == client.StateClosed {
			break
		}
	}
	<-conn.Done()
	// Output:
	// connecting
	// waiting
	// for a minute or more: true
	// connecting
	// open
	// closed
}

// A client that the server refuses for good does not try again, and returns why.
func ExampleConn_Err() {
	url, end := demo(answers, func(echo.HandlerFunc) echo.HandlerFunc {
		return func(echo.Context) error { return echo.NewHTTPError(http.StatusForbidden, "members only") }
	})
	defer end()

	conn := client.Connect(context.Background(), client.URL(url), client.Config{})
	<-conn.Done()
	var refused *ws.HandshakeError
	fmt.Println(errors.As(conn.Err(), &refused), refused.StatusCode, client.Retryable(conn.Err()))
	// Output:
	// true 403 false
}

// A member receives every message, including those it missed while it was away, once and in order.
func ExampleJoinChat() {
	url, end := lobby()
	defer end()

	said := make(chan client.Message, 10)
	chat := client.JoinChat(context.Background(), url, "lobby", client.ChatConfig{
		Name:      "ana",
		OnMessage: func(m client.Message) { said <- m },
	})
	if _, err := chat.Post(context.Background(), "hello"); err != nil {
		fmt.Println(err)
	}
	m := <-said
	fmt.Println(m.From+":", m.Text)
	chat.Close()
	<-chat.Done()
	fmt.Println(chat.Err())
	// Output:
	// ana: hello
	// <nil>
}

// A bot that answers. Post returns when the answer is stored, however often the connection is lost before; so the bot
// posts in a goroutine of its own: a callback that waited for Post would wait for itself.
func ExampleChat_Post() {
	url, end := lobby()
	defer end()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	asked := make(chan client.Message, 100)
	bot := client.JoinChat(ctx, url, "lobby", client.ChatConfig{
		Name: "echo",
		OnMessage: func(m client.Message) {
			if m.From != "echo" {
				asked <- m
			}
		},
	})
	answered := make(chan error)
	go func() {
		for m := range asked {
			_, err := bot.Post(ctx, m.From+" said: "+m.Text)
			answered <- err
		}
	}()

	heard := make(chan string, 100)
	ana := client.JoinChat(ctx, url, "lobby", client.ChatConfig{
		Name:      "ana",
		OnMessage: func(m client.Message) { heard <- m.From + ": " + m.Text },
	})
	if _, err := ana.Post(ctx, "is anybody here?"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-heard)
	fmt.Println(<-heard)
	fmt.Println(<-answered)

	_, err := ana.Post(ctx, " ")
	var refused *client.Refused
	fmt.Println(errors.As(err, &refused), refused.Code) // trying again would not help

	ana.Close()
	bot.Close()
	<-ana.Done()
	<-bot.Done()
	close(asked)
	// Output:
	// ana: is anybody here?
	// echo: ana said: is anybody here?
	// <nil>
	// true bad_text
}
