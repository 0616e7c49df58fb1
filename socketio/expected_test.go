package socketio_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"echows/socketio"
)

// ask is the argument of an event, as an application declares it.
type ask struct {
	Room  string           `json:"room"`
	Seat  int8             `json:"seat"`
	Count uint             `json:"count"`
	Price float32          `json:"price"`
	Paid  bool             `json:"paid"`
	Tags  []string         `json:"tags"`
	Photo []byte           `json:"photo"`
	From  netip.Addr       `json:"from"`
	At    time.Time        `json:"at"`
	Next  *ask             `json:"next"`
	More  map[string]uint8 `json:"more"`
}

// For any wrong argument, the client is told in words what is expected; the text names neither Go types nor encoding/json.
func TestWrongArgumentsInPlainWords(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	s.io.OnConnect(func(one *socketio.Socket) error {
		socketio.On(one, "book", func(socketio.Event, ask) error { return nil })
		socketio.On2(one, "two", func(socketio.Event, int, []byte) error { return nil })
		one.On("by hand", func(e socketio.Event) error { return e.Arg(0).Decode(new(string)) })
		one.On("itself", func(e socketio.Event) error { return fmt.Errorf("no seat: %w", socketio.ErrArguments) })
		one.OnUnhandled(func(e socketio.Event) error { return e.Decode(new(bool)) })
		return nil
	})
	c, _ := s.caller("")
	for sent, want := range map[string]string{
		`["book",5]`:                                  `argument 1 of "book" must be an object, not a number`,
		`["book",[1]]`:                                `argument 1 of "book" must be an object, not a list`,
		`["book",true]`:                               `argument 1 of "book" must be an object, not true or false`,
		`["book",{"room":["secret"]}]`:                `"room" in argument 1 of "book" must be text, not a list`,
		`["book",{"room":{"secret":1}}]`:              `"room" in argument 1 of "book" must be text, not an object`,
		`["book",{"seat":4711}]`:                      `"seat" in argument 1 of "book" must be a whole number from -128 to 127`,
		`["book",{"seat":"4711"}]`:                    `"seat" in argument 1 of "book" must be a whole number from -128 to 127, not text`,
		`["book",{"count":-4711}]`:                    `"count" in argument 1 of "book" must be a whole number that is not negative`,
		`["book",{"price":"4711"}]`:                   `"price" in argument 1 of "book" must be a number, not text`,
		`["book",{"price":1e4711}]`:                   `"price" in argument 1 of "book" must be a number`,
		`["book",{"paid":"yes"}]`:                     `"paid" in argument 1 of "book" must be true or false, not text`,
		`["book",{"tags":"secret"}]`:                  `"tags" in argument 1 of "book" must be a list, not text`,
		`["book",{"photo":4711}]`:                     `"photo" in argument 1 of "book" must be binary data, not a number`,
		`["book",{"from":4711}]`:                      `"from" in argument 1 of "book" must be text, not a number`,
		`["book",{"from":"secret"}]`:                  `argument 1 of "book" is not what the server expects`,
		`["book",{"at":"secret"}]`:                    `argument 1 of "book" is not what the server expects`,
		`["book",{"next":"secret"}]`:                  `"next" in argument 1 of "book" must be an object, not text`,
		`["book",{"next":{"room":4711}}]`:             `"next.room" in argument 1 of "book" must be text, not a number`,
		`["book",{"more":{"secret":4711}}]`:           `"more" in argument 1 of "book" must be a whole number from 0 to 255`,
		`["two",1.5]`:                                 `argument 1 of "two" must be a whole number`,
		`["two",1,"not base64"]`:                      `argument 2 of "two" must be binary data`,
		`["by hand",4711]`:                            `an argument of "by hand" must be text, not a number`,
		`["itself",4711]`:                             `an argument of "itself" is not what the server expects`,
		`["é` + strings.Repeat("é", 1000) + `",4711]`: `argument 1 of "` + strings.Repeat("é", 32) + `…" must be true or false, not a number`,
	} {
		c.post("42" + sent)
		var got []json.RawMessage
		var told struct{ Event, Message string }
		packet := c.get()[0]
		if json.Unmarshal([]byte(packet[2:]), &got) != nil || len(got) != 2 || json.Unmarshal(got[1], &told) != nil || told.Message != want {
			t.Errorf("%s is answered with %s, want %s", sent, packet, want)
		}
	}
}

// The same holds for a CONNECT whose auth a Use function cannot decode.
func TestWrongAuthInPlainWords(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	s.io.Use(func(one *socketio.Socket) error {
		if err := one.Auth(&struct {
			Name string `json:"name"`
		}{}); err != nil {
			return fmt.Errorf("who are you? %w", err)
		}
		return nil
	})
	sid := s.openCall()
	for sent, want := range map[string]string{
		`{"name":4711}`: `44{"message":"who are you? \"name\" in auth must be text, not a number"}`,
		`{"name":{}}`:   `44{"message":"who are you? \"name\" in auth must be text, not an object"}`,
	} {
		s.call("POST", sid, "40"+sent)
		if got := s.call("GET", sid, ""); got != want {
			t.Errorf("%s is answered with %s, want %s", sent, got, want)
		}
	}
}

// The error that an application gets for an answer of the wrong type names the event, too.
func TestAWrongAnswerInPlainWords(t *testing.T) {
	s := newServer(t, socketio.Config{})
	defer s.close()
	c, _ := s.caller("")
	failed := make(chan error, 1)
	go func() {
		_, err := socketio.EmitWithAck[int](t.Context(), s.io.Socket(c.sid), "count")
		failed <- err
	}()
	if got := c.get(); !slices.Equal(got, []string{`421["count"]`}) {
		t.Fatalf("got %v", got)
	}
	c.post(`431["many"]`)
	if err := <-failed; err == nil || err.Error() != `the acknowledgement of "count" must be a whole number, not text` {
		t.Errorf("the error is %v", err)
	}
}
