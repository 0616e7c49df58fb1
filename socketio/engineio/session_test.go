package engineio

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// A request may come when the client's time is over, and before the timer that says so.
func TestARequestBeforeTheTimer(t *testing.T) {
	e := echo.New()
	var one *Session
	s := New(ws.New(e, ws.Config{}), "/", Config{}, func(s *Session) { one = s })
	defer s.Close()
	e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?EIO=4&transport=polling", nil))
	one.mu.Lock()
	one.heard = thisMoment().add(-45 * time.Second)
	one.mu.Unlock()
	res := httptest.NewRecorder()
	e.ServeHTTP(res, httptest.NewRequest(http.MethodPost, "/?EIO=4&transport=polling&sid="+one.ID(), nil))
	if res.Code != http.StatusBadRequest || s.Len() != 0 || s.Stats().Silent != 1 {
		t.Errorf("%d %s, %+v", res.Code, res.Body, s.Stats())
	}
}
