package tests

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"echows/internal/programtest"
)

// A name cannot look like an announcement: it is quoted with marks that names cannot contain.
func TestNoNameAnnounces(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	nobody := &person{t: t, url: p.URL}
	for _, name := range []string{`bob” left`, "bob” left", "“bob", "„bob", "‟bob", "аna", "ana Βob"} {
		body, _ := json.Marshal(map[string]string{"name": name})
		nobody.ask("POST", "/session", string(body), http.StatusBadRequest, nil)
		g := &guest{t: t, conn: programtest.Dial(t, p.URL, "/socket.io/?EIO=4&transport=websocket")}
		programtest.Receive(t, g.conn) // the session's open packet
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
