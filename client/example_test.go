package client_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"

	"github.com/labstack/echo/v4"

	"echows/client"
	"echows/ws"
)

func ExampleConnect() {
	e := echo.New()
	app := ws.New(e, ws.Config{Logger: slog.New(slog.DiscardHandler)})
	app.WS("/ws", func(s *ws.Socket, _ echo.Context) error {
		s.OnMessage(func(m ws.Message) error { return s.SendText("you said: " + m.Text()) })
		return nil
	})
	server := httptest.NewServer(e)
	defer server.Close()

	answers := make(chan string)
	conn := client.Connect(context.Background(), client.URL(server.URL+"/ws"), client.Config{
		OnOpen:    func(s *ws.Socket) error { return s.SendText("hello") }, // also when it comes back
		OnMessage: func(m ws.Message) error { answers <- m.Text(); return nil },
	})
	fmt.Println(<-answers)
	conn.Close(ws.CloseNormal, "")
	<-conn.Done()
	fmt.Println(conn.Err())
	// Output:
	// you said: hello
	// <nil>
}
