package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"echows/internal/programtest"
)

// said is any message from the chat.
type said struct {
	Type     string
	Seq      uint64
	ID       string
	From     string
	Mark     string
	Text     string
	At       time.Time
	Messages []said
	Complete bool
	More     bool
	Count    int
	People   []struct{ Name, Mark string }
	Code     string
	Message  string
}

// person is a user with a session.
type person struct {
	t     testing.TB
	url   string
	token string
}

// ask sends a request as this person, expects a status, and decodes the answer.
func (p *person) ask(method, path, body string, want int, answer any) *http.Response {
	p.t.Helper()
	res, err := p.try(method, path, body, want, answer)
	if err != nil {
		p.t.Fatal(err)
	}
	return res
}

// try is like ask, but returns an error, so that any goroutine may call it.
func (p *person) try(method, path, body string, want int, answer any) (*http.Response, error) {
	req, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, _ := io.ReadAll(res.Body)
	if res.StatusCode != want {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, data)
	}
	if answer != nil {
		if err := json.Unmarshal(data, answer); err != nil {
			return nil, fmt.Errorf("%s %s: %w: %s", method, path, err, data)
		}
	}
	return res, nil
}

func signIn(t testing.TB, url, name string) *person {
	t.Helper()
	p := &person{t: t, url: url}
	var got struct{ Token, Name string }
	body, _ := json.Marshal(map[string]string{"name": name})
	p.ask("POST", "/session", string(body), http.StatusCreated, &got)
	p.token = got.Token
	return p
}

func (p *person) ticket() string {
	p.t.Helper()
	ticket, err := p.tryTicket()
	if err != nil {
		p.t.Fatal(err)
	}
	return ticket
}

// tryTicket is like ticket, but returns an error, so that any goroutine may call it.
func (p *person) tryTicket() (string, error) {
	var got struct {
		Ticket    string
		ExpiresIn int
	}
	_, err := p.try("POST", "/ticket", "", http.StatusCreated, &got)
	if err == nil && got.ExpiresIn != 30 {
		err = fmt.Errorf("a ticket lives for %d seconds", got.ExpiresIn)
	}
	return got.Ticket, err
}

// member is a person's connection to a room.
type member struct {
	t    testing.TB
	conn *websocket.Conn
}

// join connects, and also returns the history, with all its pages. query may be "&after=5", for example.
func (p *person) join(room, query string) (*member, said) {
	p.t.Helper()
	conn, err := p.dial(room, p.ticket(), query)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	m := &member{t: p.t, conn: conn}
	return m, m.history()
}

// history reads all pages of the history.
func (m *member) history() said {
	m.t.Helper()
	all := said{More: true}
	for pages := 0; all.More; pages++ {
		data, page := []byte(nil), said{}
		if err := websocket.Message.Receive(m.conn, &data); err != nil {
			m.t.Fatal(err)
		}
		if err := json.Unmarshal(data, &page); err != nil || page.Type != "history" {
			m.t.Fatalf("page %d is %.200s", pages, data)
		}
		if len(data) > 256<<10 || len(page.Messages) > 500 {
			m.t.Errorf("page %d has %d messages and %d bytes", pages, len(page.Messages), len(data))
		}
		if pages > 0 && page.Complete != all.Complete {
			m.t.Errorf("page %d says complete %v, those before %v", pages, page.Complete, all.Complete)
		}
		page.Messages = append(all.Messages, page.Messages...)
		all = page
	}
	return all
}

func (p *person) dial(room, ticket, query string) (*websocket.Conn, error) {
	conn, err := websocket.Dial("ws"+strings.TrimPrefix(p.url, "http")+"/ws/chat/"+room+"?ticket="+ticket+query, "", p.url)
	if err == nil {
		conn.SetDeadline(time.Now().Add(programtest.Patience))
	}
	return conn, err
}

func (m *member) next() said {
	m.t.Helper()
	s, err := m.read()
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

func (m *member) read() (s said, err error) {
	err = websocket.JSON.Receive(m.conn, &s)
	return s, err
}

// await returns the next message of the given type.
func (m *member) await(kind string) said {
	m.t.Helper()
	for {
		if s := m.next(); s.Type == kind {
			return s
		}
	}
}

func (m *member) send(v any) {
	m.t.Helper()
	if err := websocket.JSON.Send(m.conn, v); err != nil {
		m.t.Fatal(err)
	}
}

func (m *member) post(id, text string) {
	m.t.Helper()
	m.send(map[string]string{"type": "post", "id": id, "text": text})
}

// awaitCount waits until the presence is n.
func (m *member) awaitCount(n int) {
	m.t.Helper()
	for m.await("presence").Count != n {
	}
}

// stored is the answer to a post by request, whether it was accepted or not.
type stored struct {
	Status     int `json:"-"`
	RetryAfter string
	ID         string
	Seq        uint64
	Code       string
	Message    string
}

// request posts as this person, with header in addition to the header that a script sends.
func (p *person) request(room string, body io.Reader, header map[string]string) (got stored) {
	p.t.Helper()
	req, err := http.NewRequest("POST", p.url+"/chat/"+room+"/messages", body)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+p.token)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := json.Unmarshal(data, &got); err != nil {
		p.t.Fatalf("%s: %s: %v", res.Status, data, err)
	}
	got.Status, got.RetryAfter = res.StatusCode, res.Header.Get("Retry-After")
	return got
}

func (p *person) say(room, id, text string) stored {
	p.t.Helper()
	body, _ := json.Marshal(map[string]string{"id": id, "text": text})
	return p.request(room, bytes.NewReader(body), nil)
}
