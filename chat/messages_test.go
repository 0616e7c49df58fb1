package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"
)

// Answers with older messages wait for one another, and no longer than their clients. Who leaves has reached no limit.
func TestAnswersUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &Chat{log: slog.New(slog.NewTextHandler(&log, nil)), counts: newCounters(), answers: newGate(answersAtOnce, addressAnswers), addressReads: limiter(50, 10)}
		e := echo.New()
		e.GET("/chat/:room/messages", c.Messages)
		ask := func(address string, patience time.Duration) (status int, body string, took time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			r := httptest.NewRequestWithContext(ctx, "GET", "/chat/lobby/messages", nil)
			r.RemoteAddr = address + ":80"
			w := httptest.NewRecorder()
			begin := time.Now()
			e.ServeHTTP(w, r)
			return w.Code, w.Body.String(), time.Since(begin)
		}
		reached := func(limit string) uint64 { return c.counts.limits[limit].Load() }
		leaves := func(address string) {
			t.Helper()
			before, said := reached(limitAnswers)+reached(limitAddressAnswers), log.Len()
			if _, _, took := ask(address, time.Second); took != time.Second || reached(limitAnswers)+reached(limitAddressAnswers) != before || log.Len() != said {
				t.Errorf("one that leaves after a second is let go after %v, and the log has %s", took, log.String()[said:])
			}
		}
		stays := func(address string, status int, begin, limit string) {
			t.Helper()
			got, body, took := ask(address, time.Minute)
			if got != status || !strings.HasPrefix(body, begin) || took != answerPatience {
				t.Errorf("after %v: %d %s", took, got, body)
			}
			if n := reached(limit); n != 1 {
				t.Errorf("the limit %s is reached %d times", limit, n)
			}
		}
		for i := range answersAtOnce {
			address := fmt.Sprint("192.0.2.", i/addressAnswers)
			if _, err := c.answers.enter(t.Context(), address); err != nil {
				t.Fatal(err)
			}
			if i == addressAnswers-1 {
				leaves(address)
				stays(address, 429, `{"code":"rate_limited","message":"`, limitAddressAnswers)
			}
		}
		leaves("192.0.2.200")
		stays("192.0.2.200", 503, `{"code":"unavailable","message":"`, limitAnswers)
	})
}

// slowReader is a client that takes the header of an answer, and then nothing before it is told to.
type slowReader struct {
	*httptest.ResponseRecorder
	writing, read chan struct{}
}

func (r *slowReader) Write(p []byte) (int, error) {
	r.writing <- struct{}{}
	<-r.read
	return r.ResponseRecorder.Write(p)
}

// However many addresses read their answers slowly, others are answered, with less while many answers are in progress.
func TestSlowReadersHoldUpNobodyElse(t *testing.T) {
	c, _ := openChat(t, t.TempDir(), Config{})
	c.app.Echo().GET("/chat/:room/messages", c.Messages)
	store(t, c, "lobby", 200, func() int { return 1900 })
	ask := func(address string, w http.ResponseWriter) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/chat/lobby/messages?limit=200", nil)
		r.RemoteAddr = address + ":80"
		c.app.Echo().ServeHTTP(w, r)
	}
	count := func(w *httptest.ResponseRecorder) int {
		t.Helper()
		var page struct{ Messages []Message }
		if err := json.Unmarshal(w.Body.Bytes(), &page); w.Code != http.StatusOK || err != nil {
			t.Fatalf("%d %.100s", w.Code, w.Body)
		}
		return len(page.Messages)
	}
	writing, read := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	for i := range 2 * answersAtOnce {
		w := &slowReader{httptest.NewRecorder(), writing, read}
		all.Go(func() { ask(fmt.Sprint("192.0.2.", i/addressAnswers), w) })
		<-writing
	}
	w := httptest.NewRecorder()
	ask("192.0.2.200", w)
	if n := count(w); n < 1 || n > shortBytes/1900 || w.Body.Len() > shortBytes {
		t.Errorf("beside slow readers an answer has %d messages, %d bytes", n, w.Body.Len())
	}
	if bytes := c.answering.Load(); bytes < manyBytes || bytes > manyBytes+2*answersAtOnce*shortBytes+pageBytes {
		t.Errorf("%d bytes are under way", bytes)
	}
	close(read)
	all.Wait()
	w = httptest.NewRecorder()
	if ask("192.0.2.200", w); count(w) < 100 {
		t.Errorf("afterwards an answer has %d messages", count(w))
	}
	if c.answering.Load() != 0 || len(c.answers.places) != 0 || len(c.answers.addresses) != 0 {
		t.Error("something is held for nobody")
	}
}

// An answer has a message, however long that is.
func TestAnAnswerHasOneMessage(t *testing.T) {
	long := remembered{json: []byte(`"` + strings.Repeat("x", 9000) + `"`)}
	if got := olderFrame([]remembered{long, long}, shortBytes); len(got) < 9000 || len(got) > 9100 {
		t.Errorf("%d bytes", len(got))
	}
	if got := string(olderFrame(nil, shortBytes)); got != `{"messages":[]}` {
		t.Errorf("without messages: %s", got)
	}
}

// A member that joins after a post was acknowledged waits until this node has received it: the room knows its sequence,
// whichever way the post came.
func TestStoredSequencesAreNoted(t *testing.T) {
	c, _ := openChat(t, t.TempDir(), Config{})
	if _, _, err := c.store(t.Context(), "closed", User{ID: "id", Name: "ana"}, post{"1", "hello"}); err != nil || c.Rooms() != 0 {
		t.Errorf("%v; %d rooms are open", err, c.Rooms())
	}
	r, err := c.enter(t.Context(), "lobby")
	if err != nil {
		t.Fatal(err)
	}
	defer c.leave(r)
	seq, before, err := c.store(t.Context(), "lobby", User{ID: "id", Name: "ana"}, post{"1", "hello"})
	if err != nil || before {
		t.Errorf("before %v, %v", before, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stored != seq {
		t.Errorf("the room knows of %d, stored is %d", r.stored, seq)
	}
}
