package hub_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"echows/ws"
)

func TestMetrics(t *testing.T) {
	s := serve(t, ws.Config{})
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(s.hub.Collector())
	has := func(topics, members string) bool {
		answer := httptest.NewRecorder()
		promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
		return strings.Contains(answer.Body.String(), "\nechows_topics "+topics+"\n") && strings.Contains(answer.Body.String(), "\nechows_members "+members+"\n")
	}
	if !has("0", "0") {
		t.Error("an empty hub has topics or members")
	}
	a, sa := s.connect()
	_, sb := s.connect()
	s.join(sa, "x")
	s.join(sa, "x") // is a member already
	s.join(sa, "y")
	s.join(sb, "x")
	if !has("2", "3") {
		t.Error("want 2 topics with 3 members")
	}
	s.hub.Leave("x", sb)
	s.hub.Leave("x", sb)
	if !has("2", "2") {
		t.Error("want 2 topics with 2 members")
	}
	gone := make(chan struct{})
	sa.OnClose(func(ws.CloseCode, string) { close(gone) }) // after the Hub's
	a.Close()
	wait(t, gone)
	if !has("0", "0") {
		t.Error("want no topic and no member")
	}
}
