package visit

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Token signs somebody in.
func (v *Visitor) Token(ctx context.Context, name string) (string, error) {
	var session struct{ Token string }
	body, err := v.Ask(ctx, http.MethodPost, "/session", "", fmt.Appendf(nil, `{"name":"%s"}`, name))
	if err == nil {
		err = json.Unmarshal(body, &session)
	}
	return session.Token, err
}

// Seat gets a ticket, and returns the path where it opens the chat's room "lobby".
func (v *Visitor) Seat(ctx context.Context, token string) (string, error) {
	var ticket struct{ Ticket string }
	body, err := v.Ask(ctx, http.MethodPost, "/ticket", token, nil)
	if err == nil {
		err = json.Unmarshal(body, &ticket)
	}
	return "/ws/chat/lobby?ticket=" + ticket.Ticket, err
}

// Ticket does both.
func (v *Visitor) Ticket(ctx context.Context, name string) (string, error) {
	token, err := v.Token(ctx, name)
	if err != nil {
		return "", err
	}
	return v.Seat(ctx, token)
}
