package socketio_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"echows/socketio"
)

// The official client drives the server: polling, WebSocket, and the upgrade from one to the other.
func TestTheOfficialClient(t *testing.T) {
	node, err := exec.LookPath("node")
	if _, missing := os.Stat("official/node_modules"); err != nil || missing != nil {
		if os.Getenv("ECHOWS_NODE") == "required" {
			t.Fatal("no Node, or no packages, and ECHOWS_NODE requires them: cd socketio/official && npm ci")
		}
		t.Skip("no Node, or no packages: cd socketio/official && npm ci")
	}
	s := start(t, socketio.Config{Recovery: 2 * time.Minute})
	serveOfficial(s.io)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, node, "official/drive.mjs", s.url).CombinedOutput()
	if err != nil || strings.Count(string(out), "ok ") != 27 {
		t.Errorf("%v:\n%s", err, out)
	}
}

// serveOfficial is the server's side of official/drive.mjs.
func serveOfficial(io *socketio.Server) {
	io.OnConnect(func(s *socketio.Socket) error {
		s.On("auth", func(e socketio.Event) error { return e.Ack(s.Handshake().Auth) })
		s.On("echo", func(e socketio.Event) error { return e.Ack(e.Args[0]) })
		s.On("echo2", func(e socketio.Event) error {
			var first []byte
			var second struct {
				A []any
				B []byte
			}
			var inner []byte
			second.A = []any{&inner}
			if err := e.Decode(&first, &second); err != nil {
				return err
			}
			return e.Ack([]any{first, map[string]any{"a": []any{inner, "x"}, "b": second.B}})
		})
		s.On("back", func(e socketio.Event) error {
			args := make([]any, len(e.Args))
			for i, arg := range e.Args {
				args[i] = arg
			}
			return s.Emit("back", args...)
		})
		socketio.On(s, "sum", func(e socketio.Event, bytes []byte) error {
			sum := 0
			for _, b := range bytes {
				sum += int(b)
			}
			return e.Ack(sum)
		})
		socketio.On(s, "ask me", func(e socketio.Event, n int) error {
			go func() { // the answer is read by this socket's own goroutine
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				args, err := s.EmitWithAck(ctx, "question", n)
				if err == nil {
					s.Emit("answered", args[0], args[1])
				}
			}()
			return nil
		})
		socketio.On(s, "join", func(e socketio.Event, room string) error { s.Join(room); return e.Ack() })
		socketio.On(s, "leave", func(e socketio.Event, room string) error { s.Leave(room); return e.Ack() })
		s.On("to", func(e socketio.Event) error {
			var rooms, except []string
			var text string
			if err := e.Decode(&rooms, &except, &text); err != nil {
				return err
			}
			io.To(rooms...).Except(except...).Emit("room", text)
			return e.Ack()
		})
		socketio.On(s, "others", func(e socketio.Event, text string) error {
			s.Broadcast().Emit("room", text)
			return e.Ack()
		})
		s.On("kick", func(e socketio.Event) error { s.Disconnect(false); return nil })
		return nil
	})
	io.Of("/admin").OnConnect(func(s *socketio.Socket) error {
		s.On("tell all", func(e socketio.Event) error { return s.Namespace().Emit("to all") })
		return nil
	})
	io.Of("/crowd").OnConnect(func(s *socketio.Socket) error {
		s.On("count", func(e socketio.Event) error { return e.Ack(s.Namespace().Len()) })
		s.On("tell all", func(e socketio.Event) error { return s.Namespace().Emit("to all") })
		return nil
	})
	io.Of("/refused").Use(func(*socketio.Socket) error {
		return &socketio.Refusal{Message: "not you", Data: map[string]int{"code": 7}}
	})
	io.OfMatch(regexp.MustCompile(`/room-\d+`)).OnConnect(func(s *socketio.Socket) error {
		s.On("where", func(e socketio.Event) error { return e.Ack(s.Namespace().Name()) })
		return nil
	})
}
