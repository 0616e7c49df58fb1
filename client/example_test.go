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

// A bot that answers. It posts in a goroutine of its own: a callback that waited for Post would wait for itself.
func ExampleJoinChat() {
	ctx := context.Background()
	asked := make(chan client.Message, 100)
	chat := client.JoinChat(ctx, "http://localhost:3000", "lobby", client.ChatConfig{
		Name: "echo",
		OnMessage: func(m client.Message) {
			if m.From != "echo" {
				asked <- m
			}
		},
	})
	defer func() { chat.Close(); <-chat.Done() }()
	for {
		select {
		case m := <-asked:
			if _, err := chat.Post(ctx, m.From+" said: "+m.Text); err != nil {
				fmt.Println(err)
			}
		case <-chat.Done():
			fmt.Println(chat.Err())
			return
		}
	}
}
