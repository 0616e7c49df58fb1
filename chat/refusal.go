package chat

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// code is a kind of refusal.
type code struct {
	name    string       // as clients see it
	status  int          // of an HTTP answer
	closing ws.CloseCode // if the client goes on, or if the socket is useless without; 0 if the socket stays open
}

// The codes, and what each means to a request and to a socket.
var (
	codeBadJSON     = code{"bad_json", http.StatusBadRequest, 0}
	codeNotJSON     = code{"bad_json", http.StatusUnsupportedMediaType, 0} // not declared as JSON
	codeTooLong     = code{"bad_json", http.StatusRequestEntityTooLarge, ws.ClosePolicyViolation}
	codeLongText    = code{"bad_text", http.StatusRequestEntityTooLarge, ws.ClosePolicyViolation}
	codeUnknownType = code{"unknown_type", http.StatusBadRequest, 0}
	codeBadID       = code{"bad_id", http.StatusBadRequest, 0}
	codeBadText     = code{"bad_text", http.StatusBadRequest, 0}
	codeRateLimited = code{"rate_limited", http.StatusTooManyRequests, ws.ClosePolicyViolation}
	codeUnavailable = code{"unavailable", http.StatusServiceUnavailable, ws.CloseTryAgainLater}
)

// refusal tells the sender of a message, or of a request, why it was refused.
type refusal struct {
	Type    string `json:"type,omitempty"` // error, on a socket
	Code    string `json:"code"`
	Message string `json:"message"`
	ID      string `json:"id,omitempty"` // of the message, if it has a valid one
	code    code
}

func refuse(c code, message string) *refusal {
	return &refusal{Type: "error", Code: c.name, Message: message, code: c}
}

// notStored refuses a post that could not be stored. It can be sent again.
func notStored(p post) *refusal {
	r := refuse(codeUnavailable, "the message could not be stored; send it again")
	r.ID = p.id
	return r
}

// http returns the refusal as an HTTP answer.
func (r *refusal) http() *echo.HTTPError {
	answer := *r
	answer.Type = ""
	return echo.NewHTTPError(r.code.status, answer)
}

// logRefusal logs a refusal; who identifies the client. It does not log the message to the client, which may quote what the
// client sent.
func (c *Chat) logRefusal(r *refusal, who ...any) {
	c.log.Info("refused", append(who, "code", r.Code)...)
}

// noDatabase logs that a read from the database failed, unless it failed because the client left.
func (c *Chat) noDatabase(ctx context.Context, room string, err error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	log := c.log
	if id, ok := ctx.Value(askerKey{}).(string); ok { // otherwise the room is being opened
		log = log.With("id", id)
	}
	log.Warn("older messages cannot be read from the database", "room", room, "error", err)
}

type askerKey struct{}

// askedBy returns a context with the id, for the log, of the request or the socket that messages are read for.
func askedBy(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, askerKey{}, id)
}

// asker identifies a request in the log: its address, and the id that the server gave it, if any.
func asker(ctx echo.Context) []any {
	who := []any{"remote", ctx.Request().RemoteAddr}
	if id := ctx.Response().Header().Get(echo.HeaderXRequestID); id != "" {
		who = append(who, "id", id)
	}
	return who
}

// unavailable is the answer while the broker or the database is unavailable. A client that has left receives none.
func (c *Chat) unavailable(ctx echo.Context, err error) error {
	if ctx.Request().Context().Err() == nil {
		c.log.Warn("not available", append(asker(ctx), "error", err)...)
	}
	return refuse(codeUnavailable, "not available at the moment; try again soon").http().SetInternal(err)
}
