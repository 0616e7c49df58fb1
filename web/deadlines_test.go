package web

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"echows/internal/reached"
	"echows/settings"
)

// pipes is a listener with connections in memory, so that a test can use a fake clock.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error   { close(l.closed); return nil }
func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipes) dial() net.Conn {
	here, there := net.Pipe()
	l.conns <- there
	return here
}

// The time limit of an answer counts from its first byte, no matter how long the client waited for it.
func TestAnAnswerHasAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := echo.New()
		e.Use(AnswerInTime(settings.AnswerTime))
		wrote := make(chan error, 1)
		e.GET("/large", func(c echo.Context) error {
			err := c.String(http.StatusOK, strings.Repeat("large ", 100_000))
			wrote <- err
			return err
		})
		e.GET("/late", func(c echo.Context) error {
			time.Sleep(10 * settings.AnswerTime)
			return c.String(http.StatusOK, "late")
		})
		e.POST("/name", func(c echo.Context) error {
			name, err := io.ReadAll(c.Request().Body)
			if err != nil {
				return err
			}
			return c.String(http.StatusOK, string(name))
		})
		l := &pipes{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: e}
		defer server.Close()
		go server.Serve(l)
		conn := l.dial()
		defer conn.Close()
		ask := func(path string) string { // without a path, it reads on
			if path != "" {
				fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
			}
			answer := make([]byte, 1000)
			n, err := conn.Read(answer)
			if err != nil {
				t.Fatal(err)
			}
			return string(answer[:n])
		}
		for range 2 { // the second uses a connection whose last answer was long ago
			if got := ask("/late"); !strings.HasSuffix(got, "late") {
				t.Errorf("got %q", got)
			}
		}
		time.Sleep(2 * settings.AnswerTime)
		fmt.Fprint(conn, "POST /name HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
		if got := ask(""); !strings.HasPrefix(got, "HTTP/1.1 100 ") {
			t.Errorf("who asks before it sends a body gets %q", got)
		}
		fmt.Fprint(conn, "ana")
		if got := ask(""); !strings.HasSuffix(got, "ana") {
			t.Errorf("got %q", got)
		}
		begin := time.Now()
		ask("/large") // and stops reading
		if err := <-wrote; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != settings.AnswerTime {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

// A body that no handler reads is not waited for.
func TestABodyThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := echo.New()
		e.Use(new(Bodies).InTime)
		e.POST("/", func(c echo.Context) error { return c.NoContent(http.StatusForbidden) })
		l := &pipes{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: e}
		defer server.Close()
		go server.Serve(l)
		for _, header := range []string{"Content-Length: 10000000", "Content-Length: 3\r\nExpect: 100-continue"} {
			conn := l.dial()
			begin := time.Now()
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n", header)
			answer := make([]byte, 100)
			n, err := conn.Read(answer)
			if took := time.Since(begin); took > 0 || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 403 ") {
				t.Errorf("%q: after %v: %q, %v", header, took, answer[:n], err)
			}
			conn.Close()
		}
		time.Sleep(time.Minute) // net/http gives a client half a second to read the answer
	})
}

// A body that is not all there after half a minute is an error to its reader, and counts once.
func TestABodyHasHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := echo.New()
		var bodies Bodies
		e.Use(bodies.InTime)
		read := make(chan error, 1)
		e.POST("/", func(c echo.Context) error {
			_, err := io.ReadAll(c.Request().Body)
			c.Request().Body.Read(make([]byte, 1))
			read <- err
			return err
		})
		l := &pipes{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: e}
		defer server.Close()
		go server.Serve(l)
		post := func(rest string, pause time.Duration) error {
			conn := l.dial()
			defer conn.Close()
			go io.Copy(io.Discard, conn)
			fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\na")
			time.Sleep(pause)
			fmt.Fprint(conn, rest)
			return <-read
		}
		if err := post("na", settings.BodyTime-1); err != nil {
			t.Error(err)
		}
		begin := time.Now()
		if err := post("", 0); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != settings.BodyTime {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		if n := bodies.Collector().(reached.Limits)["body_time"].Load(); n != 1 {
			t.Errorf("%d bodies were counted as late", n)
		}
	})
}
