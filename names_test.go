package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// What a name says is no announcement: it stands between marks that no name has.
func TestNoNameAnnounces(t *testing.T) {
	p := startProgram(t)
	nobody := &person{t: t, url: p.url}
	for _, name := range []string{`bob” left`, "bob” left", "“bob", "„bob", "‟bob", "аna", "ana Βob"} {
		body, _ := json.Marshal(map[string]string{"name": name})
		nobody.ask("POST", "/session", string(body), http.StatusBadRequest, nil)
		g := &guest{t: t, conn: p.dial("/socket.io/?EIO=4&transport=websocket")}
		receive(t, g.conn) // the session's
		g.send("40" + string(body))
		if got := g.next(); !strings.HasPrefix(got, "44{") {
			t.Errorf("%s comes into /rooms: %s", name, got)
		}
	}
	ana := visit(t, p, "ana", "")
	ana.await(`["stats",{"clients":1}]`)
	visit(t, p, "bob left", "")
	ana.await(`["announcements",{"text":"“bob left” joined"}]`)
}
