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

// ChatConfig holds the settings of a Chat: Name or Token is needed, the rest has defaults.
//
// The callbacks are called one at a time. While one runs nothing is received, no acknowledgement either: none may
// wait for a Post, or for the end of the Chat.
type ChatConfig struct {
	// Name is who to sign in as, with 1 to 32 characters.
	Name string
	// Token is that of a session, to be used as long as it is good; after that Name signs in, if there is one.
	Token string
	// After is the sequence of the last message seen, such as new(seq): it begins with those that came after it,
	// 0 being before all. By default it begins with the newest 50.
	After *uint64

	// OnMessage is called with each message of the room, one's own too, in the room's order and each once.
	OnMessage func(m Message)
	// OnHistory is called for what was posted before the connection, or while there was none, perhaps page by page;
	// OnMessage is called with these messages after it.
	OnHistory func(h History)
	// OnPresence is called with the number of connections in the room.
	OnPresence func(count int)
	// OnPeople is called after OnPresence with who is in the room, each session once; the server names no more
	// than its longest list has. A server that does not say who is there causes no call.
	OnPeople func(people []Person)
	// OnState is that of Config.
	OnState func(state State, wait time.Duration, err error)

	// Dial holds the settings of each connection. Header, TLS, Proxy and Jar are used for requests too.
	Dial ws.DialConfig
	// Timeout bounds one attempt with all its requests, as that of Config.
	Timeout time.Duration

	random func() float64
}

// Message is one of the room.
type Message struct {
	Seq  uint64    `json:"seq"` // rises within the room
	ID   string    `json:"id"`  // its sender's own
	From string    `json:"from"`
	Mark string    `json:"mark"` // tells people of one name apart; "" where the server has none
	Text string    `json:"text"`
	At   time.Time `json:"at"` // UTC
}

// Person is somebody in the room.
type Person struct {
	Name string `json:"name"`
	Mark string `json:"mark"` // as that of a Message
}

// History is what was posted before a connection, or one page of it.
type History struct {
	Messages []Message // that were not seen before, oldest first
	Complete bool      // false: there were more than these, not seen before, that are skipped
	More     bool      // another page follows
}

// Chat is a member of a room, who comes back. Its methods may be called from any goroutine at any time; which of
// them callbacks may call is said there.
type Chat struct {
	config ChatConfig
	base   *url.URL
	room   string
	http   *http.Client
	conn   *Conn
	slots  chan struct{}      // one for each post under way
	pause  chan time.Duration // holds one, after which sending goes on
	done   chan struct{}

	// Owned by whichever goroutine of the Conn is busy.
	socket  *ws.Socket
	token   string
	refused int  // upgrades in a row, for their tickets
	first   bool // page of this connection's history is to come

	mu      sync.Mutex // guards the rest
	name    string     // as the server has it
	seen    *uint64    // the last message's sequence; nil before the first history
	send    func(ws.Message) error
	queue   []*post // not answered, in order
	sent    []*post // on this connection, in order, and not answered there
	paused  bool
	pauses  int   // in a row, without anything stored between
	isEnded bool  // nothing is posted any more, because of
	why     error // nil for Close
}

// JoinChat begins to join a room, and returns at once. base is the server's address, such as
// "https://example.com". The Chat lives until Close, until ctx ends, or until the server refuses it for good: for a
// room that cannot be (404), a session that is over where there is no Name (401), a name that it does not take
// (400). Who calls JoinChat waits for Done.
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
		return &permanentError{fmt.Errorf("%q is no room", c.room)}
	}
	u.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
	u.RawQuery, u.Fragment = "", ""
	c.base = u
	return nil
}

// Close leaves the room and returns at once; Done tells when it is over. Posts under way end with an error: they
// may be stored, or not. Callbacks may call it.
func (c *Chat) Close() { c.conn.Close(ws.CloseNormal, "") }

// Now ends a wait for the next attempt to connect, as Conn.Now does. Callbacks may call it.
func (c *Chat) Now() { c.conn.Now() }

// Done is closed when the Chat has ended, and calls nothing more.
func (c *Chat) Done() <-chan struct{} { return c.done }

// Err is why the Chat has ended; nil before, and where Close was called. It is as that of a Conn; a
// *ws.HandshakeError may also be the answer to the request for a session or a ticket.
func (c *Chat) Err() error { return c.conn.Err() }

// run is the Chat's own goroutine: it waits for the end of pauses, and of the Conn.
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
