package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"echows/ws"
)

// httpClient makes the client for HTTP requests. Each request has a connection of its own: there are at most two before
// each attempt, and then none for a long time.
func httpClient(cfg ws.DialConfig) *http.Client {
	proxy := cfg.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	return &http.Client{
		Transport: &http.Transport{Proxy: proxy, TLSClientConfig: cfg.TLS, DisableKeepAlives: true},
		Jar:       cfg.Jar,
	}
}

// place is the Target: the room's address with a new ticket.
func (c *Chat) place(ctx context.Context) (string, http.Header, error) {
	ticket, err := c.ticket(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("join %s: %w", c.room, err)
	}
	query := url.Values{"ticket": {ticket}}
	c.mu.Lock()
	if c.seen != nil {
		query.Set("after", fmt.Sprint(*c.seen))
	}
	c.mu.Unlock()
	u := c.base.JoinPath("ws", "chat", url.PathEscape(c.room))
	u.RawQuery = query.Encode()
	return u.String(), nil, nil
}

// ticket returns a new ticket, and signs in first if necessary.
func (c *Chat) ticket(ctx context.Context) (string, error) {
	if c.token != "" {
		ticket, err := c.takeTicket(ctx)
		if c.config.Name == "" || !isUnauthorized(err) {
			return ticket, lasting(err)
		}
	}
	if err := c.signIn(ctx); err != nil {
		return "", lasting(err)
	}
	ticket, err := c.takeTicket(ctx)
	return ticket, lasting(err)
}

// signIn begins a session. To the server, a new session is another person, so it does not recognize the ids of an
// earlier session's posts. But those that it stored are in the history, which comes first.
func (c *Chat) signIn(ctx context.Context) error {
	var got struct{ Token, Name string }
	if err := c.ask(ctx, "session", "", map[string]string{"name": c.config.Name}, &got); err != nil {
		return err
	}
	c.token = got.Token
	c.mu.Lock()
	c.name = got.Name
	c.mu.Unlock()
	return nil
}

func (c *Chat) takeTicket(ctx context.Context) (string, error) {
	var got struct{ Ticket string }
	err := c.ask(ctx, "ticket", c.token, struct{}{}, &got)
	return got.Ticket, err
}

// ask sends a POST request and decodes the answer. An answer other than 201 is a *ws.HandshakeError.
func (c *Chat) ask(ctx context.Context, path, token string, body, answer any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath(path).String(), bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header = merged(c.config.Dial.Header, http.Header{"Content-Type": {"application/json"}})
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case res.StatusCode != http.StatusCreated:
		return &ws.HandshakeError{StatusCode: res.StatusCode, Header: res.Header, Body: got[:min(len(got), maxRefusal)]}
	case err != nil:
		return fmt.Errorf("POST /%s: %w", path, err)
	}
	if err := json.Unmarshal(got, answer); err != nil {
		return fmt.Errorf("POST /%s: the answer is not the JSON expected: %w", path, err)
	}
	return nil
}

const (
	maxAnswer  = 64 << 10 // bytes read of an answer
	maxRefusal = 1 << 10  // bytes kept of a refusal
)

func isUnauthorized(err error) bool {
	var refused *ws.HandshakeError
	return errors.As(err, &refused) && refused.StatusCode == http.StatusUnauthorized
}

// lasting marks as permanent those refusals that another request would receive again.
func lasting(err error) error {
	if refused := (*ws.HandshakeError)(nil); errors.As(err, &refused) && !retryableStatus(refused.StatusCode) {
		return &permanentError{err}
	}
	return err
}

// mostRefused is how many tickets may be refused in a row. A single refusal may be nobody's fault: tickets are lost when
// the server restarts.
const mostRefused = 3

// retry is like Retryable, but also tries again where the chat knows better.
func (c *Chat) retry(err error) bool {
	var permanent *permanentError
	if errors.As(err, &permanent) {
		return false
	}
	if refused := (*ws.HandshakeError)(nil); errors.As(err, &refused) && refused.StatusCode == http.StatusUnauthorized {
		c.refused++
		return c.refused < mostRefused
	}
	if closed := (*ws.CloseError)(nil); errors.As(err, &closed) && closed.Code == ws.ClosePolicyViolation {
		return true // too fast, or too slow: next time it may be neither
	}
	return Retryable(err)
}
