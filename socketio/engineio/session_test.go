package engineio

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
	"unsafe"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// A request may come after the client's timeout, but before the timer fires.
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

// A session that began on a WebSocket has no poller, even if a request comes at the moment of its end.
func TestARequestOfASessionThatNeverPolled(t *testing.T) {
	s := New(ws.New(echo.New(), ws.Config{}), "/", Config{}, func(*Session) {})
	defer s.Close()
	one := &Session{server: s, transport: websocket, ended: true}
	for _, method := range []func(echo.Context) error{one.poll, one.post} {
		res := httptest.NewRecorder()
		method(echo.New().NewContext(httptest.NewRequest(http.MethodPost, "/", nil), res))
		if res.Code != http.StatusBadRequest {
			t.Errorf("%d %s", res.Code, res.Body)
		}
	}
	if one.isInTime() {
		t.Error("it has ended, and takes requests")
	}
	one.drop()
}

// There may be a hundred thousand idle sessions: a field that moves Session to the allocator's next size must be worth it.
func TestTheSizeOfASession(t *testing.T) {
	if size := unsafe.Sizeof(Session{}); size > 176 {
		t.Errorf("a session takes %d bytes", size)
	}
}
