package chat

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"echows/broker"
)

// ticket is what a ticket stands for. A browser cannot send a token with a WebSocket's handshake, and a
// cookie alone would let in any page that gets past the origin check; so who has a session asks for a
// ticket, and pays with it.
type ticket struct {
	User    User   `json:"user"`
	Origin  string `json:"origin"` // of the page that asked; "" for a script
	Address string `json:"address"`
}

// Ticket answers POST /ticket. RequireSession comes before it.
func (c *Chat) Ticket(ctx echo.Context) error {
	if err := c.sameOrigin(ctx); err != nil {
		return err
	}
	lives := c.config.Limits.TicketTime
	name := rand.Text()
	value, err := json.Marshal(ticket{userOf(ctx), ctx.Request().Header.Get("Origin"), ctx.RealIP()})
	if err != nil {
		return fmt.Errorf("ticket: %w", err)
	}
	if err := c.tickets.Put(ctx.Request().Context(), ticketKey(name), value); err != nil {
		return c.unavailable(err)
	}
	return ctx.JSON(http.StatusCreated, struct {
		Ticket    string `json:"ticket"`
		ExpiresIn int    `json:"expiresIn"` // seconds
	}{name, int(lives / time.Second)})
}

// ticketKey keeps tickets out of what can be read in the broker.
func ticketKey(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// RequireTicket lets an upgrade pass that pays with a ticket. It takes the ticket only when nothing else
// can be wrong with the handshake.
func (c *Chat) RequireTicket(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ctx echo.Context) error {
		refused := echo.NewHTTPError(http.StatusUnauthorized, "the ticket is missing, used, expired or another's; get one with POST /ticket")
		name := ctx.QueryParam("ticket")
		if name == "" {
			return refused
		}
		session, err := c.signedIn(ctx.Request())
		signedIn := err == nil
		if err := c.app.CheckHandshake(ctx); err != nil {
			return err
		}
		var t ticket
		ok, err := c.tickets.Take(ctx.Request().Context(), ticketKey(name), func(value []byte) bool {
			origin := ctx.Request().Header.Get("Origin")
			return json.Unmarshal(value, &t) == nil &&
				t.Address == ctx.RealIP() &&
				(t.Origin == "" || t.Origin == origin) && // a script's has none, and its WebSocket library may send one
				(!signedIn || session.ID == t.User.ID)
		})
		if err != nil {
			return c.unavailable(err)
		}
		if !ok {
			return refused
		}
		ctx.Set(userKey, t.User)
		return next(ctx)
	}
}

// RequireRoom answers 404 for a room that cannot be.
func RequireRoom(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ctx echo.Context) error {
		if !broker.ValidTopic(ctx.Param("room")) {
			return echo.NewHTTPError(http.StatusNotFound, "a room's name has 1 to 64 of a–z, 0–9, - and _")
		}
		return next(ctx)
	}
}

// unavailable is the answer while the broker or the database is away.
func (c *Chat) unavailable(err error) error {
	c.log.Warn("not available", "error", err)
	return refuse(codeUnavailable, "not available at the moment; try again soon").http().SetInternal(err)
}

// decodeStrictly reads one JSON value with no field unknown, and nothing after it.
func decodeStrictly(r io.Reader, v any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("there is more after it")
	}
	return nil
}
