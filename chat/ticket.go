package chat

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"echows/broker"
	"echows/ws"
)

// A browser cannot send a token with a WebSocket's handshake, and a cookie alone would let in any page that
// gets past the origin check. So a client with a session asks for a ticket, which opens one socket. A ticket is the
// name of the node that issued it, a dot, and a secret. A node that receives another node's ticket asks that node.

const (
	redeemTime = 2 * time.Second        // for the node that issued a ticket to answer
	redeemOnce = 800 * time.Millisecond // for one request; then it is repeated
)

// Ticket answers POST /ticket. A body is optional: {"room":"lobby"} binds the ticket to that room.
// It needs RequireSession before it.
func (c *Chat) Ticket(ctx echo.Context) error {
	if err := c.sameOrigin(ctx); err != nil {
		return err
	}
	room, err := c.roomOf(ctx)
	if err != nil {
		return err
	}
	secret := rand.Text()
	err = c.tickets.issue(secret, &ticket{
		user:    userOf(ctx),
		origin:  digestOf(ctx.Request().Header.Get("Origin")),
		address: ctx.RealIP(),
		room:    room,
		payer:   ws.AddressOf(ctx),
	}, time.Now())
	switch {
	case errors.Is(err, errAddressFull):
		return c.tooMany(ctx, limitAddressTickets, err.Error())
	case err != nil:
		c.counts.reached(limitTickets)
		return c.unavailable(ctx, err)
	}
	c.counts.ticketsIssued.Add(1)
	return ctx.JSON(http.StatusCreated, struct {
		Ticket    string `json:"ticket"`
		ExpiresIn int    `json:"expiresIn"` // seconds
	}{c.node + "." + secret, int(c.config.Limits.TicketTime / time.Second)})
}

// roomOf returns the room that the body names, or "" if it names none.
func (c *Chat) roomOf(ctx echo.Context) (string, error) {
	const example = `{"room":"lobby"}, or nothing`
	fields, err := c.readFields(ctx, example, "room")
	value, named := fields["room"]
	if err != nil || !named {
		return "", err
	}
	room, ok := value.(string)
	if !ok || !broker.ValidTopic(room) {
		return "", echo.NewHTTPError(http.StatusBadRequest, "send "+example+": "+roomNames)
	}
	return room, nil
}

// RequireTicket lets upgrades with a valid ticket pass, and answers 401 to others. It redeems the ticket only when
// nothing else can be wrong with the handshake.
func (c *Chat) RequireTicket(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ctx echo.Context) error {
		node, secret, ok := strings.Cut(ctx.QueryParam("ticket"), ".")
		if !ok {
			return c.noTicket()
		}
		session, _ := c.signedIn(ctx.Request())
		if err := c.app.CheckHandshake(ctx); err != nil {
			return err
		}
		user, err := c.redeem(ctx.Request().Context(), node, redemption{
			ID:      rand.Text(),
			Ticket:  secret,
			Origin:  digestOf(ctx.Request().Header.Get("Origin")),
			Address: ctx.RealIP(),
			Room:    ctx.Param("room"),
			Session: session.ID,
		})
		switch {
		case errors.Is(err, errTicketIsNone):
			return c.noTicket()
		case err != nil:
			return c.unavailable(ctx, err)
		case c.ended.Has(user.ID): // the node that issued the ticket may not know yet
			return c.noTicket()
		}
		c.counts.ticketsRedeemed.Add(1)
		ctx.Set(userKey, user)
		return next(ctx)
	}
}

// noTicket is the answer to an upgrade without a valid ticket.
func (c *Chat) noTicket() error {
	c.counts.ticketsRefused.Add(1)
	return echo.NewHTTPError(http.StatusUnauthorized, errTicketIsNone.Error()+"; get one with POST /ticket")
}

// redeem asks the node that issued a ticket for its user. The error is errTicketIsNone if that node refuses it, or is
// gone, and its tickets with it.
func (c *Chat) redeem(ctx context.Context, node string, r redemption) (User, error) {
	if node == c.node {
		return c.tickets.redeem(r, c.ended.Has, time.Now())
	}
	if c.bus == nil {
		return User{}, errTicketIsNone
	}
	question, err := json.Marshal(r)
	if err != nil {
		return User{}, fmt.Errorf("redeem a ticket: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, redeemTime)
	defer cancel()
	for {
		data, err := c.askOnce(ctx, node, question)
		switch {
		case errors.Is(err, broker.ErrNoNode):
			return User{}, errTicketIsNone
		case err != nil && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			continue // a message was lost or is late
		case err != nil:
			return User{}, fmt.Errorf("redeem a ticket: %w", err)
		}
		var user User
		if err := json.Unmarshal(data, &user); err != nil {
			return User{}, fmt.Errorf("redeem a ticket: node %s answers: %w", node, err)
		}
		if user.ID == "" {
			return User{}, errTicketIsNone
		}
		return user, nil
	}
}

func (c *Chat) askOnce(ctx context.Context, node string, question []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, redeemOnce)
	defer cancel()
	return c.bus.AskNode(ctx, node, question)
}

// asked answers another node, which received a ticket of this one, with a User: empty if the ticket is not valid.
func (c *Chat) asked(node string, data []byte, answer func([]byte)) {
	var r redemption
	if err := json.Unmarshal(data, &r); err != nil {
		c.log.Warn("another node sent an invalid message", "node", node, "error", err)
		return
	}
	user, _ := c.tickets.redeem(r, c.ended.Has, time.Now())
	if data, err := json.Marshal(user); err == nil {
		answer(data)
	}
}

const roomNames = "a room's name has 1 to 64 characters: a–z, 0–9, - and _"

// RequireRoom answers 404 if the path's room is not a valid name.
func RequireRoom(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ctx echo.Context) error {
		if !broker.ValidTopic(ctx.Param("room")) {
			return echo.NewHTTPError(http.StatusNotFound, roomNames)
		}
		return next(ctx)
	}
}
