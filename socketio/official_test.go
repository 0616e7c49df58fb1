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

// The official client drives the server: polling, WebSocket, and the upgrade from one to the other. Its versions are listed
// in official/package.json; each version runs the cases that it supports.
func TestTheOfficialClient(t *testing.T) {
	node := requireNode(t)
	for _, c := range []struct {
		name, client string
		recovery     time.Duration
		features     []string
		cases        int // for each transport
	}{
		{"3.0", "socket.io-client-3", 0, nil, 8},
		{"4.0", "socket.io-client-4", 0, nil, 8},
		{"4.8", "socket.io-client", 0, []string{"timeout"}, 9},
		{"4.8 with recovery", "socket.io-client", 2 * time.Minute, []string{"timeout", "recovery"}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, socketio.Config{Recovery: c.recovery})
			serveOfficial(s.io)
			drive(t, 3*c.cases, node, append([]string{"official/drive.mjs", s.url, c.client}, c.features...)...)
		})
	}
}

// requireNode finds Node, and skips the test if Node or the packages are missing.
func requireNode(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	for _, client := range []string{"socket.io-client", "socket.io-client-3", "socket.io-client-4"} {
		if _, missing := os.Stat("official/node_modules/" + client); missing != nil {
			err = missing
		}
	}
	unless(t, err, "ECHOWS_NODE", "no Node, or no packages: cd socketio/official && npm ci")
	return node
}

// unless skips the test if there is an error, or fails it if the environment requires the missing program.
func unless(t *testing.T, err error, variable, missing string) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv(variable) == "required":
		t.Fatalf("%s=required, but %s (%v)", variable, missing, err)
	default:
		t.Skip(missing)
	}
}

// drive runs a client's program, which prints a line for each case: "ok" and its name, or "FAIL", its name and the reason.
// Other output is shown if the program did not finish.
func drive(t *testing.T, cases int, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	passed, failed := 0, 0
	for line := range strings.Lines(string(out)) {
		switch {
		case strings.HasPrefix(line, "ok "):
			passed++
		case strings.HasPrefix(line, "FAIL "):
			failed++
			t.Error(strings.TrimSpace(line))
		}
	}
	if err != nil || passed != cases || failed != 0 {
		t.Errorf("%d of %d cases passed, %d failed; it ended with: %v\n%s", passed, cases, failed, err, out)
	}
}

// serveOfficial is the server for official/drive.mjs and python/drive.py.
func serveOfficial(io *socketio.Server) {
	same := func(s *socketio.Socket) func(socketio.Event) error {
		return func(e socketio.Event) error { return s.Emit(e.Name, e.Args[0]) }
	}
	io.OnConnect(func(s *socketio.Socket) error {
		s.On("message", same(s))
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
	io.Of("/banned").OnConnect(func(s *socketio.Socket) error {
		for _, text := range []string{"you", "know", "why"} {
			s.Emit("banned", text)
		}
		s.Disconnect(true)
		return nil
	})
	io.Of("/crowd").OnConnect(func(s *socketio.Socket) error {
		s.On("count", func(e socketio.Event) error { return e.Ack(s.Namespace().LocalLen()) })
		s.On("tell all", func(e socketio.Event) error { return s.Namespace().Emit("to all") })
		return nil
	})
	io.Of("/refused").Use(func(*socketio.Socket) error {
		return &socketio.Refusal{Message: "not you", Data: map[string]int{"code": 7}}
	})
	io.OfMatch(regexp.MustCompile(`/room-\d+`)).OnConnect(func(s *socketio.Socket) error {
		s.On("message", same(s))
		s.On("where", func(e socketio.Event) error { return e.Ack(s.Namespace().Name()) })
		return nil
	})
}
