package chat

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"echows/broker"
	"echows/ws"
)

// Post answers POST /chat/:room/messages: {"id":"…","text":"…"} posts as a member does over its socket. The answer
// comes when the message is stored: 201, or 200 if it was stored before. It needs RequireRoom and RequireSession
// before it. The posts of one address are limited, by requests and sockets together.
func (c *Chat) Post(ctx echo.Context) error {
	if err := c.sameOrigin(ctx); err != nil {
		return err
	}
	user, room := userOf(ctx), ctx.Param("room")
	if !allows(c.userPosts, user.ID) { // like those of a connection
		c.counts.post(codeRateLimited.name)
		return c.tooMany(ctx, limitPosts, "too many messages from this session")
	}
	if !allows(c.addressPosts, ws.AddressOf(ctx)) { // after the session: without one nobody can use up what others share
		c.counts.post(codeRateLimited.name)
		return c.tooMany(ctx, limitAddressPosts, "too many messages from this address")
	}
	p, bad := readPost(ctx)
	if bad != nil {
		c.counts.post(bad.Code)
		c.logRefusal(bad, append(asker(ctx), "room", room)...)
		return bad.http()
	}
	seq, before, err := c.store(ctx.Request().Context(), room, user, p)
	switch {
	case err == nil:
	case ctx.Request().Context().Err() != nil:
		return nil // nobody is waiting for an answer
	case errors.Is(err, broker.ErrUnavailable):
		c.log.Warn("a message could not be stored", append(asker(ctx), "error", err)...)
		c.counts.post(codeUnavailable.name)
		return notStored(p).http()
	default:
		return err
	}
	status := http.StatusCreated
	if before {
		status = http.StatusOK
	}
	return ctx.JSON(status, struct {
		ID  string `json:"id"`
		Seq uint64 `json:"seq"`
	}{p.id, seq})
}

// readPost reads a post from a request's body. It reads at most maxPost bytes.
func readPost(ctx echo.Context) (post, *refusal) {
	r := ctx.Request()
	if kind, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType)); err != nil || kind != echo.MIMEApplicationJSON {
		return post{}, refuse(codeNotJSON, `send JSON, such as {"id":"1","text":"hello"}, with Content-Type: application/json`)
	}
	if r.ContentLength > maxPost {
		ctx.Response().Header().Set(echo.HeaderConnection, "close") // otherwise net/http reads the rest
		return post{}, refuse(codeTooLong, tooLong)
	}
	data, err := io.ReadAll(http.MaxBytesReader(ctx.Response(), r.Body, maxPost))
	if long := new(http.MaxBytesError); errors.As(err, &long) {
		return post{}, refuse(codeTooLong, tooLong)
	}
	if err != nil {
		return post{}, refuse(codeBadJSON, "the message is incomplete")
	}
	if !utf8.Valid(data) { // on a socket, this would close it
		return post{}, refuse(codeBadJSON, "the message is not UTF-8")
	}
	fields, err := decodeFields(data)
	if err != nil {
		return post{}, refuse(codeBadJSON, err.Error())
	}
	return postOf(fields)
}

// store stores a post and returns its sequence, and whether it had been stored before. Members that join the room on this
// node afterwards find it in their histories. The same id from the same user in the same room is the same message.
func (c *Chat) store(ctx context.Context, room string, user User, p post) (seq uint64, before bool, err error) {
	since := time.Now()
	data, err := json.Marshal(Message{ID: p.id, From: user.Name, Mark: user.Mark(), Text: p.text, At: since.UTC().Truncate(time.Microsecond)})
	if err != nil {
		return 0, false, fmt.Errorf("encode a message: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	if seq, before, err = c.entries.Append(ctx, room, uniqueID(room, user.ID, p.id), data); err != nil {
		return 0, false, err
	}
	c.noteStored(room, seq)
	c.counts.stored(since, before)
	return seq, before, nil
}

// noteStored records the sequence of a stored message, before its poster gets the answer. A room that is not open reads the
// stream when it is opened.
func (c *Chat) noteStored(room string, seq uint64) {
	c.mu.Lock()
	r := c.rooms[room]
	c.mu.Unlock()
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored = max(r.stored, seq)
}

// uniqueID combines three ids into one, since the broker compares ids across all rooms. Neither of the first two contains a
// zero byte, so different triples give different ids.
func uniqueID(room, user, id string) string {
	sum := sha256.Sum256([]byte(room + "\x00" + user + "\x00" + id))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// mostOlder is how many older messages one request may ask for.
const mostOlder = 200

// Messages answers GET /chat/:room/messages?before=SEQ&limit=50: older messages, newest last. It needs RequireRoom
// and RequireSession before it.
//
// Clients may read an answer slowly, within the server's time limit. So an answer holds a turn (answersAtOnce) only while its
// messages are read and encoded. While it is written, it still counts for its address (addressAnswers), and its bytes count:
// past manyBytes in total, answers have only the newest messages that fit into shortBytes.
func (c *Chat) Messages(ctx echo.Context) error {
	before, limit := uint64(1<<53), newest
	if text := ctx.QueryParam("before"); text != "" {
		n, err := strconv.ParseUint(text, 10, 53)
		if err != nil {
			return echo.NewHTTPError(http.StatusBadRequest, "before must be the sequence of a message")
		}
		before = n
	}
	if text := ctx.QueryParam("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostOlder {
			return echo.NewHTTPError(http.StatusBadRequest, fmt.Sprintf("limit must be a number from 1 to %d", mostOlder))
		}
		limit = n
	}
	address := ws.AddressOf(ctx)
	if !allows(c.addressReads, address) {
		return c.tooMany(ctx, limitReads, "too many messages for this address")
	}
	turn, err := c.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer turn.end()
	bytes := pageBytes
	if c.answering.Load() > manyBytes {
		bytes = shortBytes
	}
	asked := askedBy(ctx.Request().Context(), ctx.Response().Header().Get(echo.HeaderXRequestID))
	messages, err := c.older(asked, ctx.Param("room"), before, limit, bytes)
	if err != nil {
		return c.unavailable(ctx, err)
	}
	data := olderFrame(rememberAll(messages), bytes) // messages need not be kept while this is written
	for range len(data) / answerPart {               // long answers take most of the work
		allows(c.addressReads, address)
	}
	c.answering.Add(int64(len(data)))
	defer c.answering.Add(-int64(len(data)))
	turn.pass()
	return ctx.JSONBlob(http.StatusOK, data)
}

// olderFrame encodes the newest messages: at least one, and as many as fit into the given bytes.
func olderFrame(messages []remembered, bytes int) []byte {
	first, size := len(messages), pageFrame
	for first > 0 && (first == len(messages) || size+len(messages[first-1].json)+1 <= bytes) {
		first--
		size += len(messages[first].json) + 1
	}
	data := append(make([]byte, 0, size), `{"messages":[`...)
	for i, m := range messages[first:] {
		if i > 0 {
			data = append(data, ',')
		}
		data = append(data, m.json...)
	}
	return append(data, "]}"...)
}

// takeTurn waits up to answerPatience for a turn to read.
func (c *Chat) takeTurn(ctx echo.Context) (t *turn, err error) {
	waiting, cancel := context.WithTimeout(ctx.Request().Context(), answerPatience)
	defer cancel()
	t, err = c.answers.enter(waiting, ws.AddressOf(ctx))
	switch {
	case err == nil:
		return t, nil
	case ctx.Request().Context().Err() != nil: // the client has left: it reached no limit
		return nil, c.unavailable(ctx, err)
	case errors.Is(err, errAddressBusy):
		return nil, c.tooMany(ctx, limitAddressAnswers, "too many requests from this address are in progress")
	}
	c.counts.reached(limitAnswers)
	return nil, c.unavailable(ctx, errors.New("too many requests are in progress"))
}

// older reads from the stream, and from its copy in the database, which may have messages that the stream has discarded
// or lost. It returns the newest of them, oldest first: limit at most, and not many more than fit into the given bytes.
func (c *Chat) older(ctx context.Context, room string, before uint64, limit, bytes int) ([]Message, error) {
	entries, err := c.entries.Before(ctx, room, before, limit)
	if err != nil {
		return nil, err
	}
	messages, all := decodeNewest(entries, bytes)
	if c.archive == nil {
		return messages, nil
	}
	archived, err := c.archive.older(ctx, room, before, limit)
	if err != nil && len(messages) == 0 {
		return nil, err
	}
	if err != nil { // the next page will return it
		c.noDatabase(ctx, room, err)
	}
	messages = merge(archived, messages, all)
	return messages[max(0, len(messages)-limit):], nil
}

// decodeNewest decodes the newest entries, until they fill the given bytes, and reports whether these are all. Decoding
// takes most of an answer's time, so it skips what would not fit.
func decodeNewest(entries []broker.Entry, bytes int) (messages []Message, all bool) {
	messages = []Message{} // an array on the wire even when it is empty
	for _, e := range slices.Backward(entries) {
		if bytes <= 0 && len(messages) > 0 {
			slices.Reverse(messages)
			return messages, false
		}
		if m, err := decodeStored(e); err == nil {
			messages = append(messages, m)
		}
		bytes -= len(e.Data)
	}
	slices.Reverse(messages)
	return messages, true
}

// merge merges a room's messages from the database and from the stream, in order, each once. Unless all says that the
// stream's are complete, it drops the database's before them: a message in between could be missing.
func merge(archived, streamed []Message, all bool) []Message {
	if !all {
		archived = slices.DeleteFunc(archived, func(m Message) bool { return m.Seq < streamed[0].Seq })
	}
	messages := append(archived, streamed...)
	slices.SortStableFunc(messages, func(a, b Message) int { return cmp.Compare(a.Seq, b.Seq) })
	return slices.CompactFunc(messages, func(a, b Message) bool { return a.Seq == b.Seq })
}
