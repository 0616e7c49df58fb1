package socketio_test

import (
	"net/http"
	"testing"

	"golang.org/x/net/websocket"

	"echows/socketio"
)

func TestEventsAndAcknowledgements(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(echoAll)
	p, _ := s.connect()
	p.send(`42["hello",1,"2",{"3":[false]}]`, `42456["ask",1e2,null]`, `420["zero"]`)
	p.expect(`42["hello",1,"2",{"3":[false]}]`, `43456[1e2,null]`, `430[]`)
	p.send(`452-["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
	websocket.Message.Send(p.conn, []byte{1, 2, 3})
	websocket.Message.Send(p.conn, []byte{4, 5, 6})
	p.expect(`452-["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "\x01\x02\x03", "\x04\x05\x06")
	p.send(`4399[]`) // an acknowledgement that nobody waits for
	p.send(`42["still here"]`)
	p.expect(`42["still here"]`)
}

func TestEachMistakeEndsItsConnectionOnly(t *testing.T) {
	s := start(t, socketio.Config{})
	s.io.OnConnect(echoAll)
	s.io.Of("/admin").OnConnect(echoAll)
	other, _ := s.connect()
	for _, mistake := range []string{
		`4`, `47`, `4abc`, `42`, `42{}`, `42abc`, `42[]`, `42[1]`, `42["connect"]`, `40`, `40[]`, `44{"message":"x"}`, `42/admin,["a"]`, `42/none,["a"]`,
		`41/admin,`, `43/admin,1[]`, `451["a"]`, `450-["a"]`, `4511-["a"]`, `43[]`, `431{}`,
	} {
		p, _ := s.connect()
		p.send(mistake)
		p.expectClosed()
	}
	p, _ := s.connect() // text instead of an attachment
	p.send(`451-["a",{"_placeholder":true,"num":0}]`, `42["b"]`)
	p.expectClosed()
	p, _ = s.connect() // an attachment of nothing
	websocket.Message.Send(p.conn, []byte{1})
	p.expectClosed()
	p, _ = s.connect() // a placeholder without its attachment
	p.send(`451-["a",{"_placeholder":true,"num":1}]`)
	websocket.Message.Send(p.conn, []byte{1})
	p.expectClosed()
	p = s.dial() // an event before CONNECT
	p.send(`42["a"]`)
	p.expectClosed()
	other.send(`42["still here"]`)
	other.expect(`42["still here"]`)
}

func TestAPathWithoutASlashAtItsEnd(t *testing.T) {
	s := start(t, socketio.Config{Path: "/live"})
	for _, path := range []string{"/live/socket.io.js", "/live/?EIO=4&transport=polling", "/live?EIO=4&transport=polling"} {
		res, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

// The connection of a handshake is the same in all its namespaces, and no other's.
func TestTheConnectionOfAHandshake(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	var all []string
	note := func(one *socketio.Socket) error { all = append(all, one.Handshake().Connection); return nil }
	s.io.OnConnect(note)
	s.io.Of("/b").OnConnect(note)
	for range 2 {
		c, _ := s.caller("")
		c.post("40/b")
		c.get()
	}
	if len(all) != 4 || all[0] == "" || all[0] != all[1] || all[2] != all[3] || all[0] == all[2] {
		t.Errorf("the connections are %q", all)
	}
}

func TestTheNetworkOfAHandshake(t *testing.T) {
	for address, want := range map[string][2]string{
		"192.0.2.7:1":         {"192.0.2.7", "192.0.2.7"},
		"[2001:db8::1:2:3]:1": {"2001:db8::1:2:3", "2001:db8::/64"},
	} {
		s := newServer(t, socketio.Config{})
		defer s.close()
		s.address = address
		c, _ := s.caller("")
		if h := s.io.Socket(c.sid).Handshake(); h.Address != want[0] || h.Network != want[1] {
			t.Errorf("%s is %s of %s", address, h.Address, h.Network)
		}
	}
}
