package chat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"
)

func TestAGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(4, 2)
		soon := func() context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			t.Cleanup(cancel)
			return ctx
		}
		var through []*turn
		for i := range 4 {
			turn, err := g.enter(soon(), fmt.Sprint(i/2))
			if err != nil {
				t.Fatal(err)
			}
			through = append(through, turn)
		}
		if _, err := g.enter(soon(), "0"); err != errAddressBusy {
			t.Errorf("a third of an address: %v", err)
		}
		if _, err := g.enter(soon(), "2"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a fifth in all: %v", err)
		}
		patient, giveUp := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := g.enter(patient, "2")
			gone <- err
		}()
		synctest.Wait()
		for range 2 { // beside it there is place for one more of the address, each time
			if _, err := g.enter(soon(), "2"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a sixth in all: %v", err)
			}
		}
		giveUp()
		if err := <-gone; err != context.Canceled {
			t.Errorf("who gives up: %v", err)
		}
		through[0].pass() // it makes place for all, and not for its own address
		if _, err := g.enter(soon(), "0"); err != errAddressBusy {
			t.Errorf("a third of an address, after one of it passed: %v", err)
		}
		other, err := g.enter(soon(), "2")
		if err != nil {
			t.Errorf("beside one that passed: %v", err)
		}
		other.end()
		next := make(chan error)
		for _, address := range []string{"0", "2"} { // wait until one is let through, each
			go func() {
				turn, err := g.enter(t.Context(), address)
				if err == nil {
					defer turn.end()
				}
				next <- err
			}()
		}
		synctest.Wait()
		for _, turn := range through {
			turn.end()
		}
		for range 2 {
			if err := <-next; err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if len(g.addresses) != 0 || len(g.places) != 0 {
			t.Errorf("%d addresses and %d places are held for nobody", len(g.addresses), len(g.places))
		}
	})
}

func TestALimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(2, 10)
		taken := 0
		for allows(l, "a") {
			taken++
		}
		if taken != 20 || !allows(l, "b") {
			t.Errorf("%d at once", taken)
		}
		time.Sleep(time.Second) // the bubble's time
		for taken = 0; allows(l, "a"); {
			taken++
		}
		if taken != 2 {
			t.Errorf("%d more in a second", taken)
		}
		if got := burst(rate.Inf, 10); got < 1 {
			t.Errorf("without a limit %d at once", got)
		}
	})
}

// Requests past a limit are logged with the first one's id and the limit's name; the rest of a flood is not.
func TestRequestsPastALimitAreLogged(t *testing.T) {
	s := openSite(t, t.TempDir(), "", Limits{Connects: rate.Every(time.Hour)})
	var log bytes.Buffer
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	s.tooManyLines.Interval = time.Hour
	s.echo.GET("/limited", func(ctx echo.Context) error { return ctx.NoContent(http.StatusNoContent) }, func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(ctx echo.Context) error {
			ctx.Response().Header().Set(echo.HeaderXRequestID, "of-"+ctx.QueryParam("n"))
			return next(ctx)
		}
	}, s.LimitReads())
	for n := range 20 {
		s.call("GET", fmt.Sprint("/limited?n=", n), "", nil)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "msg=refused remote=") || !strings.Contains(got, " id=of-1 limit=address_reads code=rate_limited\n") {
		t.Errorf("the log has %s", got)
	}
}
