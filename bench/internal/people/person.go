// Package people posts to the chat and reads it as good clients do, on one node or on several, and reports what was lost,
// came twice, out of order, or not at all.
package people

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"syscall"
	"time"

	"echows/ws"
)

// Person is someone with a session. Everyone has an address of their own, as a proxy would report it, so that limits per
// address do not count them together. Its methods are for one goroutine.
type Person struct {
	Name, Address string

	token string
}

// frame is what a node says on a socket.
type frame struct {
	Type string `json:"type"`
	Message
	Messages []Message `json:"messages"`
	Complete bool      `json:"complete"`
	More     bool      `json:"more"`
	Code     string    `json:"code"`
}

// Message is one of a room.
type Message struct {
	Seq uint64 `json:"seq"`
	ID  string `json:"id"`
}

const (
	joinTime  = 6 * time.Second        // for a ticket, and for a handshake
	joinAgain = 100 * time.Millisecond // until the next attempt, on the next node
)

// requests is everybody's HTTP client.
var requests = &http.Client{Timeout: joinTime, Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Second}}

// Close closes everybody's idle connections.
func Close() { requests.CloseIdleConnections() }

// errDown means that no process listens, so that nobody can join.
var errDown = errors.New("nobody listens")

// join connects to a room. hear is called with each message from the node, and ended once, with why the connection ended.
func (p *Person) join(ctx context.Context, node, room string, after *uint64, hear func(frame), ended func(why string)) (*ws.Socket, error) {
	if p.token == "" {
		if err := p.ask(ctx, node+"/session", fmt.Sprintf(`{"name":%q}`, p.Name), "token", &p.token); err != nil {
			return nil, fmt.Errorf("session: %w", err)
		}
	}
	var ticket string
	if err := p.ask(ctx, node+"/ticket", "", "ticket", &ticket); err != nil {
		return nil, fmt.Errorf("ticket: %w", err)
	}
	address := node + "/ws/chat/" + room + "?ticket=" + ticket
	if after != nil {
		address += fmt.Sprint("&after=", *after)
	}
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	return ws.Dial(ctx, address, ws.DialConfig{
		Header:     http.Header{"X-Forwarded-For": {p.Address}},
		MaxMessage: 64 << 20,
		Logger:     slog.New(slog.DiscardHandler),
	}, func(s *ws.Socket) error {
		s.OnMessage(func(m ws.Message) error {
			var f frame
			if err := json.Unmarshal(m.Data, &f); err != nil {
				return err
			}
			hear(f)
			return nil
		})
		s.OnClose(func(code ws.CloseCode, _ string) { ended(fmt.Sprint("close ", int(code))) })
		return nil
	})
}

// ask posts a request, and keeps one field of the answer.
func (p *Person) ask(ctx context.Context, url, body, field string, into *string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := p.do(req, http.StatusCreated)
	if err != nil {
		return err
	}
	var fields map[string]any
	if err := json.Unmarshal(answer, &fields); err != nil {
		return err
	}
	*into, _ = fields[field].(string)
	return nil
}

func (p *Person) do(req *http.Request, want int) ([]byte, error) {
	req.Header.Set("X-Forwarded-For", p.Address)
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	res, err := requests.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errDown
	}
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != want {
		err = fmt.Errorf("%d", res.StatusCode)
	}
	return body, err
}

// unwrapDown returns errDown itself if err is errDown.
func unwrapDown(err error) error {
	if errors.Is(err, errDown) {
		return errDown
	}
	return err
}

// why returns an error of join in a word or two.
func why(err error) string {
	var refused *ws.HandshakeError
	switch {
	case errors.As(err, &refused):
		return fmt.Sprint("upgrade: ", refused.StatusCode)
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer"
	}
	if text := err.Error(); len(text) < 20 {
		return text
	}
	return "no connection"
}
