package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

func TestCloseCodesThatEnd(t *testing.T) {
	url, _ := serve(t, func(_ *echo.Echo, app *ws.App) {
		app.WS("/:code", func(s *ws.Socket, c echo.Context) error {
			var code int
			fmt.Sscan(c.Param("code"), &code)
			return &ws.CloseError{Code: ws.CloseCode(code), Reason: "so it is"}
		})
	})
	for _, code := range []ws.CloseCode{1002, 1003, 1007, 1008, 1009, 4000, 4999} {
		w := watch(t, t.Context(), URL(fmt.Sprint(url, "/", code)), Config{})
		wait(t, w.Done())
		var why *ws.CloseError
		if err := w.Err(); !errors.As(err, &why) || *why != (ws.CloseError{Code: code, Reason: "so it is"}) {
			t.Errorf("%d: ended with %v", code, err)
		}
	}
	for _, code := range []ws.CloseCode{1000, 1001, 1011, 1012, 1013, 3000} {
		w := watch(t, t.Context(), URL(fmt.Sprint(url, "/", code)), Config{})
		for range 3 {
			wait(t, w.open)
		}
		w.Close(ws.CloseNormal, "")
		wait(t, w.Done())
	}
	own := func(err error) bool { return !strings.Contains(err.Error(), "1001") }
	w := watch(t, t.Context(), URL(url+"/1001"), Config{Retry: own})
	wait(t, w.Done())
	if why := (*ws.CloseError)(nil); !errors.As(w.Err(), &why) || why.Code != 1001 {
		t.Errorf("with a rule of its own: %v", w.Err())
	}
}

func TestAnswersThatEnd(t *testing.T) {
	for status, ends := range map[int]bool{400: true, 401: true, 403: true, 404: true, 426: true, 408: false, 429: false, 500: false, 503: false} {
		attempts := make(chan string, 100)
		url, _ := serve(t, func(e *echo.Echo, _ *ws.App) {
			e.GET("/", func(c echo.Context) error {
				select {
				case attempts <- c.Request().Header.Get("Authorization"):
				default:
				}
				return echo.NewHTTPError(status, "no")
			})
		})
		w := watch(t, t.Context(), func(context.Context) (string, http.Header, error) {
			return url + "?ticket=secret", http.Header{"Authorization": {"Bearer x"}}, nil
		}, Config{Dial: ws.DialConfig{Header: http.Header{"Authorization": {"another"}}}})
		if got := wait(t, attempts); got != "Bearer x" {
			t.Errorf("asked with %q", got)
		}
		if !ends {
			wait(t, attempts)
			wait(t, attempts)
			w.Close(ws.CloseNormal, "")
			wait(t, w.Done())
			continue
		}
		wait(t, w.Done())
		if refused := (*ws.HandshakeError)(nil); !errors.As(w.Err(), &refused) || refused.StatusCode != status {
			t.Errorf("%d: ended with %v", status, w.Err())
		}
		if len(attempts) > 0 {
			t.Errorf("%d: tried again", status)
		}
		if strings.Contains(w.Err().Error(), "secret") {
			t.Errorf("%d: the error tells the query: %v", status, w.Err())
		}
	}
}

func TestInvalidURLs(t *testing.T) {
	for _, url := range []string{"", "%", "ftp://x", "localhost:3000", "ws:"} {
		w := watch(t, t.Context(), URL(url), Config{})
		wait(t, w.Done())
		if err := w.Err(); err == nil || !strings.HasPrefix(err.Error(), "client: ") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestTheContextEnds(t *testing.T) {
	ends := make(chan ws.CloseCode, 1)
	url, _ := serve(t, func(_ *echo.Echo, app *ws.App) {
		app.WS("/", func(s *ws.Socket, _ echo.Context) error {
			s.OnClose(func(code ws.CloseCode, _ string) { ends <- code })
			return nil
		})
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	w := watch(t, ctx, URL(url), Config{})
	wait(t, w.open)
	why := errors.New("the test is over")
	cancel(why)
	wait(t, w.Done())
	if !errors.Is(w.Err(), why) {
		t.Errorf("ended with %v", w.Err())
	}
	if code := wait(t, ends); code != ws.CloseGoingAway {
		t.Errorf("the server got %d", code)
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	asked := make(chan struct{})
	w = watch(t, ctx, func(ctx context.Context) (string, http.Header, error) {
		close(asked)
		<-ctx.Done() // ends with the caller's
		return "", nil, ctx.Err()
	}, Config{})
	wait(t, asked)
	cancel(why)
	wait(t, w.Done())
	if !errors.Is(w.Err(), why) {
		t.Errorf("while connecting: ended with %v", w.Err())
	}
}
