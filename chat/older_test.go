package chat

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"echows/broker"
)

// An answer has the newest messages, without a gap. Messages that do not fit into it are not decoded.
func TestDecodeNewest(t *testing.T) {
	var entries []broker.Entry
	for seq := range uint64(5) {
		data := `{"id":"` + strings.Repeat("x", int(seq)+1) + `","from":"ana","text":"` + strings.Repeat("y", 100) + `","at":"2026-01-02T03:04:05Z"}`
		entries = append(entries, broker.Entry{Seq: seq + 1, Data: []byte(data)})
	}
	each := len(entries[4].Data)
	for _, c := range []struct {
		bytes int
		want  []uint64
	}{
		{0, []uint64{5}},
		{1, []uint64{5}},
		{each + 1, []uint64{4, 5}},
		{2 * each, []uint64{3, 4, 5}},
		{4 * each, []uint64{1, 2, 3, 4, 5}},
		{1 << 20, []uint64{1, 2, 3, 4, 5}},
	} {
		messages, all := decodeNewest(entries, c.bytes)
		if got := seqs(messages); !slices.Equal(got, c.want) || all != (len(c.want) == 5) {
			t.Errorf("%d bytes: %v, all %v; want %v", c.bytes, got, all, c.want)
		}
	}
	if messages, all := decodeNewest(nil, 0); messages == nil || len(messages) > 0 || !all {
		t.Errorf("of none: %v, %v", messages, all)
	}
}

// A long answer counts as several, so that one address gets only a few of them a second.
func TestLongAnswersCountMore(t *testing.T) {
	c, _ := openChat(t, t.TempDir(), Config{Limits: Limits{Connects: rate.Every(time.Hour)}})
	c.app.Echo().GET("/chat/:room/messages", c.Messages)
	store(t, c, "lobby", 100, func() int { return 1900 })
	ask := func(address string, limit int) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "GET", fmt.Sprint("/chat/lobby/messages?limit=", limit), nil)
		r.RemoteAddr = address + ":80"
		w := httptest.NewRecorder()
		c.app.Echo().ServeHTTP(w, r)
		return w
	}
	for i, want := range []int{http.StatusOK, http.StatusTooManyRequests} { // the setting counts
		if w := ask("192.0.2.3", 1); w.Code != want {
			t.Fatalf("request %d: %d %s", i, w.Code, w.Body)
		}
	}
	c.addressReads = limiter(1./1024, 10*1024)           // ten at once, and no more while the test runs
	for i, limit := range []int{1, 1, 100, 1, 1, 1, 1} { // the long one costs 7, and the others 1
		want := http.StatusOK
		if i > 3 {
			want = http.StatusTooManyRequests
		}
		if w := ask("192.0.2.1", limit); w.Code != want {
			t.Fatalf("request %d: %d %s", i, w.Code, w.Body)
		}
	}
	if w := ask("192.0.2.2", 100); w.Code != http.StatusOK {
		t.Errorf("another address: %d %s", w.Code, w.Body)
	}
}

func TestMerge(t *testing.T) {
	of := func(seqs ...uint64) (messages []Message) {
		for _, seq := range seqs {
			messages = append(messages, Message{Seq: seq})
		}
		return messages
	}
	for _, c := range []struct {
		archived, streamed []Message
		all                bool
		want               []uint64
	}{
		{of(1, 2, 3), of(3, 4), true, []uint64{1, 2, 3, 4}},
		{of(1, 2, 3), of(), true, []uint64{1, 2, 3}},
		{of(1, 2, 5), of(4, 6), false, []uint64{4, 5, 6}}, // the stream has 3, but it was not decoded
		{of(), of(4, 6), false, []uint64{4, 6}},
	} {
		if got := seqs(merge(c.archived, c.streamed, c.all)); !slices.Equal(got, c.want) {
			t.Errorf("%v and %v: %v, want %v", seqs(c.archived), seqs(c.streamed), got, c.want)
		}
	}
}

func seqs(messages []Message) (all []uint64) {
	for _, m := range messages {
		all = append(all, m.Seq)
	}
	return all
}
