package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"echows/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait.
const patience = time.Minute

var quiet = slog.New(slog.DiscardHandler)

// output is what a program writes, to be waited for.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newOutput() *output { return &output{more: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// find waits until the output holds text.
func (o *output) find(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(patience)
	for !strings.Contains(o.String(), text) {
		select {
		case <-o.more:
		case <-deadline:
			t.Fatalf("no %q in %q", text, o)
		}
	}
}

// program is a running echows-cat.
type program struct {
	t        *testing.T
	stdin    *io.PipeWriter
	out, err *output
	stop     context.CancelFunc
	exit     chan int
}

// start runs the program with an input that a test writes.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	p := &program{t, w, newOutput(), newOutput(), stop, make(chan int, 1)}
	go func() { p.exit <- run(ctx, args, r, p.out, p.err) }()
	t.Cleanup(func() { stop(); w.Close() })
	return p
}

func (p *program) write(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, text); err != nil {
		p.t.Error(err)
	}
}

// ends waits for the end, and expects an exit code, and something on stderr.
func (p *program) ends(code int, err string) {
	p.t.Helper()
	select {
	case got := <-p.exit:
		if got != code || !strings.Contains(p.err.String(), err) {
			p.t.Errorf("exit code %d with %q and %q; want %d with %q", got, p.out, p.err, code, err)
		}
	case <-time.After(patience):
		p.t.Fatalf("does not end; %q and %q", p.out, p.err)
	}
}

// expect is ends, and compares what was printed.
func (p *program) expect(code int, out, err string) {
	p.t.Helper()
	p.ends(code, err)
	if got := p.out.String(); got != out {
		p.t.Errorf("printed %q, want %q", got, out)
	}
}

// serve starts a real server on port 0. /echo sends back, /first what the request had, /close/CODE closes.
func serve(t *testing.T, secure bool) (url string, ends <-chan ws.CloseCode) {
	t.Helper()
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	app := ws.New(e, ws.Config{PingInterval: time.Hour, Logger: quiet, Origins: []string{"https://friend.example"}, Compression: ws.CompressionOn})
	codes := make(chan ws.CloseCode, 100)
	routes(app, codes)
	server := httptest.NewUnstartedServer(e)
	if secure {
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		server.Close()
	})
	return "ws" + strings.TrimPrefix(server.URL, "http"), codes
}
