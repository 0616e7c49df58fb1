// Command node is a Socket.IO server of ours as one of several, for the fault runs in bench/nodes.
//
//	node NATS-URLS ADDRESS
//
// It prints on standard output that it is ready, and ends with SIGTERM, after telling its clients.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"

	"echows/broker"
	"echows/socketio"
	"echows/ws"
)

const (
	recovery = 2 * time.Minute
	askTime  = 5 * time.Second // for other nodes, and for acknowledgements
)

// journal adapts a broker.Journal to socketio.
type journal struct{ *broker.Journal }

func (j journal) Follow(topic string, reset func(epoch string), deliver func(seq uint64, data []byte), hole func(seq uint64), ready func(from uint64)) (stop func(), err error) {
	return j.Journal.Follow(topic, broker.JournalHandler{Deliver: deliver, Hole: hole, Reset: reset, Ready: ready})
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("node NATS-URLS ADDRESS")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, nats, addr string) error {
	b, err := broker.Open(ctx, broker.Config{URL: nats})
	if err != nil {
		return err
	}
	defer b.Close()
	bus, err := b.OpenBus(ctx, "socketio")
	if err != nil {
		return err
	}
	kept, err := b.OpenJournal(ctx, broker.JournalConfig{Name: "socketio", MaxAge: recovery, MaxBytes: 64 << 20, MaxEntry: 1_000_000})
	if err != nil {
		return err
	}
	e := echo.New()
	app := ws.New(e, ws.Config{Logger: slog.New(slog.DiscardHandler)})
	io := socketio.New(app, socketio.Config{Recovery: recovery, Adapter: bus, Journal: journal{kept}})
	io.OnConnect((&node{io, bus.Node()}).meet)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: e, ReadHeaderTimeout: askTime}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	fmt.Println("ready")
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	begun := time.Now()
	io.Close()
	ending, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	if err := app.Shutdown(ending); err != nil {
		return err
	}
	if err := server.Shutdown(ending); err != nil {
		return err
	}
	slog.Info("ended", "after", time.Since(begun).Round(time.Millisecond), "recovered", io.Stats().Recovered, "lost", io.Stats().Lost)
	return nil
}

// node is what clients can ask for.
type node struct {
	io   *socketio.Server
	name string
}

// said is an event on its way to others: its emitter's number for it, whom it is for, and which node received it.
type said struct {
	From int    `json:"from"`
	N    int    `json:"n"`
	Kind string `json:"kind"` // "all", "room", or "but": all who are not in the room
	Room string `json:"room,omitempty"`
	Node string `json:"node"`
}

func (n *node) meet(s *socketio.Socket) error {
	socketio.On(s, "join", func(e socketio.Event, room string) error { return answer(e, s.Join(room)) })
	socketio.On(s, "leave", func(e socketio.Event, room string) error {
		s.Leave(room)
		return e.Ack("")
	})
	socketio.On(s, "say", func(e socketio.Event, what said) error {
		what.Node = n.name
		return answer(e, n.audience(what).Emit("said", what))
	})
	// Waiting for clients must not block this one's events.
	s.On("poll", func(e socketio.Event) error {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), askTime)
			defer cancel()
			answers, err := n.io.EmitWithAck(ctx, "poll")
			e.Ack(len(answers), text(err))
		}()
		return nil
	})
	s.On("count", func(e socketio.Event) error {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), askTime)
			defer cancel()
			clients, err := n.io.Len(ctx)
			sockets, err2 := n.io.Sockets(ctx)
			e.Ack(clients, len(sockets), text(err)+text(err2))
		}()
		return nil
	})
	return nil
}

func (n *node) audience(what said) socketio.Emitter {
	switch what.Kind {
	case "room":
		return n.io.To(what.Room)
	case "but":
		return n.io.Except(what.Room)
	}
	return n.io.Emitter
}

// answer acknowledges an event with an error's text, or "".
func answer(e socketio.Event, err error) error { return e.Ack(text(err)) }

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
