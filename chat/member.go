package chat

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"echows/broker"
	"echows/ws"
)

// member is one connection to a room. Only its socket's goroutine uses its fields.
type member struct {
	chat     *Chat
	room     *room
	socket   *ws.Socket
	user     User
	posts    *rate.Limiter
	patience *rate.Limiter // for messages refused unread
	address  string        // as limits count it
	typed    time.Time     // when it last said that its user is typing
}

// Join handles the chat's socket. It needs RequireRoom, RequireAfter and RequireTicket before it.
func (c *Chat) Join(s *ws.Socket, ctx echo.Context) error {
	after, hasAfter, err := afterOf(ctx)
	if err != nil {
		return &ws.CloseError{Code: ws.ClosePolicyViolation, Reason: err.Error()}
	}
	limits := c.config.Limits
	m := &member{
		chat:     c,
		socket:   s,
		user:     userOf(ctx),
		address:  ws.AddressOf(ctx),
		posts:    rate.NewLimiter(limits.Posts, burst(limits.Posts, 2)),
		patience: rate.NewLimiter(patienceRate, patienceBurst),
	}
	c.online.add(m.user.ID, s)
	s.OnClose(func(ws.CloseCode, string) { c.online.remove(m.user.ID, s) })
	if c.ended.Has(m.user.ID) { // since the ticket was redeemed; if the session ends later, endSession finds the socket
		return &ws.CloseError{Code: ws.ClosePolicyViolation, Reason: signedOut}
	}
	if until := m.user.Until; !until.IsZero() {
		over := time.AfterFunc(time.Until(until), func() { s.Close(ws.ClosePolicyViolation, sessionOver) })
		s.OnClose(func(ws.CloseCode, string) { over.Stop() })
	}
	if m.room, err = c.enter(s.Context(), s.Param("room")); err == nil {
		s.OnClose(func(ws.CloseCode, string) { c.leave(m.room) })
		err = m.begin(after, hasAfter)
	}
	if err != nil && s.Context().Err() != nil { // the member has left, which is no failure
		return nil
	}
	if isGone(err) {
		return err
	}
	if errors.Is(err, broker.ErrUnavailable) {
		c.log.Warn("a member cannot join", "id", s.ID(), "error", err)
		s.SendJSON(refuse(codeUnavailable, "the room cannot be opened at the moment"))
		return &ws.CloseError{Code: codeUnavailable.closing, Reason: "not available at the moment"}
	}
	if err != nil {
		return err
	}
	c.presence.enter(m.room.name, m)
	s.OnClose(func(ws.CloseCode, string) { c.presence.leave(m.room.name, m) })
	s.OnMessage(m.receive)
	return nil
}

// RequireAfter answers 400 if after is not a sequence.
func RequireAfter(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ctx echo.Context) error {
		if _, _, err := afterOf(ctx); err != nil {
			return echo.NewHTTPError(http.StatusBadRequest, err.Error())
		}
		return next(ctx)
	}
}

func afterOf(ctx echo.Context) (after uint64, ok bool, err error) {
	text := ctx.QueryParam("after")
	if text == "" {
		return 0, false, nil
	}
	if after, err = strconv.ParseUint(text, 10, 53); err != nil { // what a script can count to exactly
		return 0, false, errors.New("after must be the sequence of a message")
	}
	return after, true, nil
}

// begin sends what the member missed, and then adds it to the room.
func (m *member) begin(after uint64, hasAfter bool) error {
	upTo, err := m.room.sendHistory(m.socket, after, hasAfter)
	if err != nil {
		return err
	}
	return m.room.admit(m.socket, upTo)
}

// receive handles one message from the member.
func (m *member) receive(message ws.Message) error {
	if until := m.user.Until; !until.IsZero() && !time.Now().Before(until) {
		return &ws.CloseError{Code: ws.ClosePolicyViolation, Reason: sessionOver}
	}
	if m.chat.ended.Has(m.user.ID) { // the socket is closing, but its peer may be slow to answer
		return &ws.CloseError{Code: ws.ClosePolicyViolation, Reason: signedOut}
	}
	if bad := m.refuseUnread(message.Data); bad != nil {
		if cost := min(1+len(message.Data)/patienceSize, patienceBurst); !m.patience.AllowN(time.Now(), cost) {
			m.chat.counts.post(bad.Code)
			return &ws.CloseError{Code: bad.code.closing, Reason: "too many messages that are refused"}
		}
		return m.tell(bad)
	}
	if !message.IsText() {
		return m.tell(refuse(codeBadJSON, "a message must be text"))
	}
	if isTyping(message.Data) {
		m.typing()
		return nil
	}
	p, bad := decodePost(message.Data)
	if bad != nil {
		return m.tell(bad)
	}
	return m.post(p)
}

// refuseUnread returns why a message is refused before it is decoded, or nil. Refusing one costs no more than a glance.
func (m *member) refuseUnread(data []byte) *refusal {
	limit := ""
	switch {
	case !m.posts.Allow():
		limit = limitPosts
	case !allows(m.chat.addressPosts, m.address):
		limit = limitAddressPosts
	}
	if limit != "" {
		m.chat.counts.reached(limit)
		r := refuse(codeRateLimited, "too many messages; wait a moment and send it again")
		r.ID = glance(data).id
		return r
	}
	if len(data) <= maxPost {
		return nil
	}
	seen := glance(data)
	r := refuse(codeTooLong, tooLong)
	if seen.isPost {
		r = refuse(codeLongText, tooLong)
	}
	r.ID = seen.id
	return r
}

type ack struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Seq  uint64 `json:"seq"`
}

// post stores a post and acknowledges it.
func (m *member) post(p post) error {
	seq, _, err := m.chat.store(m.socket.Context(), m.room.name, m.user, p)
	switch {
	case err == nil:
		return m.socket.SendJSON(ack{"ack", p.id, seq})
	case m.socket.Context().Err() != nil: // the member has left: there is nobody to tell
		return nil
	case errors.Is(err, broker.ErrUnavailable):
		m.chat.log.Warn("a message could not be stored", "id", m.socket.ID(), "error", err)
		return m.tell(notStored(p))
	}
	return err
}

// tell tells the member why its message was not taken. The connection stays open.
func (m *member) tell(r *refusal) error {
	m.chat.counts.post(r.Code)
	m.chat.logRefusal(r, "id", m.socket.ID(), "room", m.room.name)
	return m.socket.SendJSON(r)
}
