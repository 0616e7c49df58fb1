package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"echows/ws"
)

// ChatConfig holds the settings of a Chat. Name or Token is required; the rest has defaults.
//
// The callbacks are called one at a time. While one runs, nothing is received, not even an acknowledgement. So none may wait
// for a Post, or for the end of the Chat.
type ChatConfig struct {
	// Name is the name to sign in with, of 1 to 32 characters.
	Name string
	// Token is a session's token, which is used as long as it is valid. After that, the Chat signs in with Name, if that is
	// set.
	Token string
	// After is the sequence of the last message that the program has seen, such as new(seq); the Chat begins with the
	// messages after it, and with the first one for 0. By default it begins with the newest 50.
	After *uint64

	// OnMessage is called with each message of the room, including one's own, in the room's order and once each.
	OnMessage func(m Message)
	// OnHistory is called with the messages that were posted before the connection, or while there was none, perhaps page by
	// page. Then OnMessage is called with each of them.
	OnHistory func(h History)
	// OnPresence is called with the number of connections in the room.
	OnPresence func(count int)
	// OnPeople is called after OnPresence with the people in the room, one for each session. The server may shorten a long
	// list. If the server does not say who is there, OnPeople is not called.
	OnPeople func(people []Person)
	// OnState is as in Config.
	OnState func(state State, wait time.Duration, err error)

	// Dial holds the settings of each connection. Header, TLS, Proxy and Jar are used for HTTP requests, too.
	Dial ws.DialConfig
	// Timeout bounds one attempt with all its requests, as in Config.
	Timeout time.Duration

	random func() float64
}

// Message is a message of the room.
type Message struct {
	Seq  uint64    `json:"seq"`  // rises within the room
	ID   string    `json:"id"`   // chosen by its sender
	From string    `json:"from"` // the sender's name
	Mark string    `json:"mark"` // tells people with the same name apart; "" if the server has none
	Text string    `json:"text"`
	At   time.Time `json:"at"` // UTC
}

// Person is somebody in the room.
type Person struct {
	Name string `json:"name"`
	Mark string `json:"mark"` // as in Message
}

// History holds the messages that were posted before a connection, or one page of them.
type History struct {
	Messages []Message // those that were not seen before, oldest first
	Complete bool      // false if messages that were not seen before are left out
	More     bool      // another page follows
}

// Chat is a member of a chat room that comes back. Its methods may be called from any goroutine at any time. Each says
// whether callbacks may call it.
type Chat struct {
	config ChatConfig
	base   *url.URL
	room   string
	http   *http.Client
	conn   *Conn
	slots  chan struct{}      // one for each post that waits for its answer
	pause  chan time.Duration // holds one, after which sending goes on
	done   chan struct{}

	// Owned by whichever goroutine of the Conn is busy.
	socket  *ws.Socket
	token   string
	refused int  // upgrades in a row that were refused for their tickets
	first   bool // the first page of this connection's history is to come

	mu      sync.Mutex // guards the rest
	name    string     // as the server writes it
	seen    *uint64    // the last message's sequence; nil before the first history
	send    func(ws.Message) error
	queue   []*post // posts without an answer, in order
	sent    []*post // those sent on this connection and not answered there, in order
	paused  bool
	pauses  int   // in a row, with nothing stored in between
	isEnded bool  // nothing is posted any more
	why     error // the reason; nil for Close
}

// JoinChat begins to join a room, and returns immediately. base is the server's address, such as "https://example.com".
// The Chat lives until Close, until ctx ends, or until the server refuses it for good: because no room can have that
// name (404), because the session is over and there is no Name (401), or because it does not accept the Name (400). The
// caller of JoinChat must wait for Done.
func JoinChat(ctx context.Context, base, room string, cfg ChatConfig) *Chat {
	c := newChat(room, cfg)
	c.conn = newConn(ctx, c.place, Config{
		Dial:      c.config.Dial,
		Timeout:   c.config.Timeout,
		OnOpen:    c.opened,
		OnMessage: c.receive,
		OnState:   c.changed,
		Retry:     c.retry,
		random:    c.config.random,
	})
	if err := c.setBase(base); err != nil {
		c.conn.target = func(context.Context) (string, http.Header, error) { return "", nil, err }
	}
	go c.conn.run() // run waits for it
	go c.run(c.conn.Done())
	return c
}

func newChat(room string, cfg ChatConfig) *Chat {
	if cfg.OnMessage == nil {
		cfg.OnMessage = func(Message) {}
	}
	if cfg.OnHistory == nil {
		cfg.OnHistory = func(History) {}
	}
	if cfg.OnPresence == nil {
		cfg.OnPresence = func(int) {}
	}
	if cfg.OnPeople == nil {
		cfg.OnPeople = func([]Person) {}
	}
	if cfg.OnState == nil {
		cfg.OnState = func(State, time.Duration, error) {}
	}
	cfg.random = Config{random: cfg.random}.withDefaults().random
	c := &Chat{
		config: cfg,
		room:   room,
		http:   httpClient(cfg.Dial),
		slots:  make(chan struct{}, mostPosts),
		pause:  make(chan time.Duration, 1),
		done:   make(chan struct{}),
		token:  cfg.Token,
	}
	if cfg.After != nil {
		c.seen = new(*cfg.After)
	}
	return c
}

func (c *Chat) setBase(base string) error {
	if err := checkURL(base); err != nil {
		return err
	}
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return &permanentError{err}
	case c.config.Name == "" && c.config.Token == "":
		return &permanentError{errors.New("a chat needs a Name or a Token")}
	case strings.Trim(c.room, ".") == "": // would lead elsewhere
		return &permanentError{fmt.Errorf("invalid room %q", c.room)}
	}
	u.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
	u.RawQuery, u.Fragment = "", ""
	c.base = u
	return nil
}

// Close leaves the room and returns immediately; wait for Done. Posts without an answer end with an error; they may or
// may not be stored. Callbacks may call it.
func (c *Chat) Close() { c.conn.Close(ws.CloseNormal, "") }

// Now ends a wait between attempts to connect, as Conn.Now does. Callbacks may call it.
func (c *Chat) Now() { c.conn.Now() }

// Done returns a channel that is closed when the Chat has ended and makes no more calls.
func (c *Chat) Done() <-chan struct{} { return c.done }

// Err returns why the Chat has ended: nil before that, and after Close. See Conn.Err for the errors; a
// *ws.HandshakeError may also be the answer to a request for a session or a ticket.
func (c *Chat) Err() error { return c.conn.Err() }

// run is the Chat's own goroutine. It waits for pauses to end, and for the Conn.
func (c *Chat) run(over <-chan struct{}) {
	defer close(c.done)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case d := <-c.pause:
			timer.Reset(d)
		case <-timer.C:
			c.resume()
		case <-over:
			return
		}
	}
}

// opened is called for each connection.
func (c *Chat) opened(s *ws.Socket) error {
	c.socket, c.first, c.refused = s, true, 0
	return nil
}

// changed is called when the connection is open, and when it has ended.
func (c *Chat) changed(state State, wait time.Duration, err error) {
	switch state {
	case StateWaiting, StateConnecting:
		c.disconnected()
	case StateClosed:
		c.disconnected()
		c.end(err)
	}
	c.config.OnState(state, wait, err)
}
