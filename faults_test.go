package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"testing"

	"github.com/labstack/echo/v4"

	"echows/internal/programtest"
	"echows/settings"
)

// A page for status 500 says that the log has more, and so it has.
func TestFaultsAreInTheLog(t *testing.T) {
	set, err := settings.Read([]string{"-addr", "127.0.0.1:0", "-data", t.TempDir()}, os.Getenv, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	lines := new(programtest.Log)
	logger, flush := set.Logger(lines)
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(logger)
	defer flush()
	s, err := start(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer s.Close()
	s.app.Echo().GET("/panics", func(echo.Context) error { panic("on purpose") })
	s.app.Echo().GET("/fails", func(echo.Context) error { return errors.New("the disk is full") })
	for path, want := range map[string]string{"/panics": `msg="a handler panicked" id=`, "/fails": `msg="a request failed" id=`} {
		res, err := http.Get(fmt.Sprint("http://", s.Addr(), path))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if id := lines.Find(t, want); res.StatusCode != http.StatusInternalServerError || id != res.Header.Get("X-Request-Id") {
			t.Errorf("%s: %s, the id is %s, in the log %s", path, res.Status, res.Header.Get("X-Request-Id"), id)
		}
	}
}
