// Package client has connections that come back by themselves, for scripts and services.
//
//	conn := client.Connect(ctx, client.URL("wss://example.com/ws"), client.Config{
//		OnMessage: func(m ws.Message) error { fmt.Println(m.Text()); return nil },
//	})
//	defer conn.Close(ws.CloseNormal, "")
package client
