package chat

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"echows/broker"
	"echows/ws"
)

// member is one connection to a room. Its fields are its socket's goroutine's.
type member struct {
	chat     *Chat
	room     *room
	socket   *ws.Socket
	user     User
	posts    *rate.Limiter
	patience *rate.Limiter // with posts past the limit
}

// Join is the chat's socket: RequireRoom, RequireAfter and RequireTicket come before it.
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
		posts:    rate.NewLimiter(limits.Posts, burst(limits.Posts, 2)),
		patience: rate.NewLimiter(patienceRate, patienceBurst),
	}
	if m.room, err = c.enter(s.Context(), s.Param("room")); err == nil {
		s.OnClose(func(ws.CloseCode, string) { c.leave(m.room) })
		err = m.begin(after, hasAfter)
	}
	if isGone(err) {
		return err
	}
	if errors.Is(err, broker.ErrUnavailable) {
		c.log.Warn("a member cannot join", "id", s.ID(), "error", err)
		s.SendJSON(refuse(codeUnavailable, "the room cannot be opened at the moment"))
		return &ws.CloseError{Code: ws.CloseTryAgainLater, Reason: "not available at the moment"}
	}
	if err != nil {
		return err
	}
	s.OnClose(func(ws.CloseCode, string) { c.touch(m.room) }) // after the hub's, so the count is right
	c.touch(m.room)
	s.OnMessage(m.receive)
	return nil
}

// RequireAfter answers 400 for a sequence that is none.
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
		return 0, false, errors.New("after has to be the sequence of a message")
	}
	return after, true, nil
}

// begin sends what the member missed and makes it one.
func (m *member) begin(after uint64, hasAfter bool) error {
	upTo, err := m.room.sendHistory(m.socket, after, hasAfter)
	if err != nil {
		return err
	}
	return m.room.admit(m.socket, upTo)
}

// receive takes one message of the member.
func (m *member) receive(message ws.Message) error {
	if !m.posts.Allow() {
		if !m.patience.Allow() {
			return &ws.CloseError{Code: ws.ClosePolicyViolation, Reason: "too many messages"}
		}
		r := refuse(codeRateLimited, "too many messages; wait a moment and send it again")
		if p, bad := decodePost(message.Data); bad == nil {
			r.ID = p.id
		}
		return m.tell(r)
	}
	if !message.IsText() {
		return m.tell(refuse(codeBadJSON, "a message has to be text"))
	}
	p, bad := decodePost(message.Data)
	if bad != nil {
		return m.tell(bad)
	}
	seq, err := m.post(p)
	if errors.Is(err, broker.ErrUnavailable) {
		m.chat.log.Warn("a message could not be stored", "id", m.socket.ID(), "error", err)
		r := refuse(codeUnavailable, "the message could not be stored; send it again")
		r.ID = p.id
		return m.tell(r)
	}
	if err != nil {
		return err
	}
	m.room.mu.Lock()
	m.room.stored = max(m.room.stored, seq)
	m.room.mu.Unlock()
	return m.socket.SendJSON(ack{"ack", p.id, seq})
}

type ack struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Seq  uint64 `json:"seq"`
}

// tell tells the member why its message was not taken. The connection stays open.
func (m *member) tell(r *refusal) error {
	m.chat.log.Info("refused", "id", m.socket.ID(), "room", m.room.name, "code", r.Code, "message", r.Message)
	return m.socket.SendJSON(r)
}

// post stores a message and returns its sequence. The same id of the same user in the same room is the
// same message.
func (m *member) post(p post) (uint64, error) {
	data, err := json.Marshal(Message{ID: p.id, From: m.user.Name, Text: p.text, At: time.Now().UTC()})
	if err != nil {
		return 0, fmt.Errorf("encode a message: %w", err)
	}
	ctx, cancel := context.WithTimeout(m.socket.Context(), postTime)
	defer cancel()
	seq, _, err := m.chat.entries.Append(ctx, m.room.name, uniqueID(m.room.name, m.user.ID, p.id), data)
	return seq, err
}

// uniqueID makes one id of three: the broker knows ids over all rooms. None of the first two has a zero
// byte, so no two triples are alike.
func uniqueID(room, user, id string) string {
	sum := sha256.Sum256([]byte(room + "\x00" + user + "\x00" + id))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Messages answers GET /chat/:room/messages?before=SEQ&limit=50: older messages, newest last. RequireRoom
// and RequireSession come before it.
func (c *Chat) Messages(ctx echo.Context) error {
	before, limit := uint64(1<<53), newest
	if text := ctx.QueryParam("before"); text != "" {
		n, err := strconv.ParseUint(text, 10, 53)
		if err != nil {
			return echo.NewHTTPError(http.StatusBadRequest, "before has to be the sequence of a message")
		}
		before = n
	}
	if text := ctx.QueryParam("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 200 {
			return echo.NewHTTPError(http.StatusBadRequest, "limit has to be a number from 1 to 200")
		}
		limit = n
	}
	messages, err := c.older(ctx.Request().Context(), ctx.Param("room"), before, limit)
	if err != nil {
		return c.unavailable(err)
	}
	return ctx.JSON(http.StatusOK, struct {
		Messages []Message `json:"messages"`
	}{messages})
}

// older reads from the stream, and what that holds no more from the database.
func (c *Chat) older(ctx context.Context, room string, before uint64, limit int) ([]Message, error) {
	entries, err := c.entries.Before(ctx, room, before, limit)
	if err != nil {
		return nil, err
	}
	messages := make([]Message, 0, limit)
	for _, e := range entries {
		if m, err := decodeStored(e); err == nil {
			messages = append(messages, m)
		}
	}
	if len(entries) == limit || c.archive == nil {
		return messages, nil
	}
	if len(entries) > 0 {
		before = entries[0].Seq
	}
	archived, err := c.archive.older(ctx, room, before, limit-len(entries))
	if err != nil && len(messages) == 0 {
		return nil, err
	}
	if err != nil { // the next page will say so
		c.log.Warn("older messages cannot be read from the database", "error", err)
	}
	return slices.Concat([]Message{}, archived, messages), nil // an array on the wire, also where it is empty
}
