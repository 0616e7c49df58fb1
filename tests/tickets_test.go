package tests

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"echows/internal/programtest"
)

func postTicket(t *testing.T, p *person) int {
	t.Helper()
	req, _ := http.NewRequest("POST", p.url+"/ticket", nil)
	req.Header.Set("Authorization", "Bearer "+p.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// upgradeStatus requests an upgrade and returns the status of the response. Any goroutine may call it.
func upgradeStatus(t testing.TB, p *programtest.Program, path string, header map[string]string) int {
	t.Helper()
	req, err := http.NewRequest("GET", p.URL+"/ws/chat/"+path, nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
		req.Header.Set(name, value)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

func TestTickets(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-trusted-proxies", "127.0.0.1")
	ana, bea := signIn(t, p.URL, "ana"), signIn(t, p.URL, "bea")
	own := p.URL
	for _, c := range []struct {
		name   string
		query  string
		header map[string]string
		want   int
	}{
		{"none", "", nil, 401},
		{"an empty one", "?ticket=", nil, 401},
		{"one that never was", "?ticket=ABCDEFGHIJKLMNOPQRSTUVWXYZ", nil, 401},
		{"nonsense", "?ticket=../../*&ticket=>", nil, 401},
		{"another user's", "?ticket=" + ana.ticket(), map[string]string{"Authorization": "Bearer " + bea.token}, 401},
		{"another address", "?ticket=" + ana.ticket(), map[string]string{"X-Forwarded-For": "203.0.113.9"}, 401},
		{"a foreign origin", "?ticket=" + ana.ticket(), map[string]string{"Origin": "https://foe.example"}, 403},
		{"a room that cannot be", "*?ticket=" + ana.ticket(), nil, 404},
		{"a sequence that is none", "?after=x&ticket=" + ana.ticket(), nil, 400},
		{"its own user's", "?ticket=" + ana.ticket(), map[string]string{"Authorization": "Bearer " + ana.token, "Origin": own}, 101},
		{"a script's", "?ticket=" + ana.ticket(), nil, 101},
	} {
		path := c.query
		if !strings.HasPrefix(path, "*") {
			path = "lobby" + path
		}
		if got := upgradeStatus(t, p, path, c.header); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	used := ana.ticket()
	for _, want := range []int{101, 401} {
		if got := upgradeStatus(t, p, "lobby?ticket="+used, nil); got != want {
			t.Errorf("the same ticket: %d, want %d", got, want)
		}
	}
	careful := ana.ticket() // a request that cannot be upgraded does not use up the ticket
	if got := upgradeStatus(t, p, "lobby?ticket="+careful, map[string]string{"Sec-WebSocket-Version": "12"}); got != 426 {
		t.Errorf("version 12: %d", got)
	}
	raced := careful
	var winners, losers int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			got := upgradeStatus(t, p, "lobby?ticket="+raced, nil)
			mu.Lock()
			defer mu.Unlock()
			switch got {
			case 101:
				winners++
			case 401:
				losers++
			}
		})
	}
	all.Wait()
	if winners != 1 || losers != 19 {
		t.Errorf("of twenty with one ticket %d won, %d lost", winners, losers)
	}
}

func TestAPagesTicketIsBoundToItsOrigin(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-origins", "https://friend.example")
	ana := signIn(t, p.URL, "ana")
	req, _ := http.NewRequest("POST", p.URL+"/ticket", nil)
	req.Header.Set("Authorization", "Bearer "+ana.token)
	req.Header.Set("Origin", "https://friend.example")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got struct{ Ticket string }
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		origin string
		want   int
	}{{p.URL, 401}, {"", 401}, {"https://friend.example", 101}} {
		header := map[string]string{}
		if c.origin != "" {
			header["Origin"] = c.origin
		}
		if got := upgradeStatus(t, p, "lobby?ticket="+got.Ticket, header); got != c.want {
			t.Errorf("from %q: %d, want %d", c.origin, got, c.want)
		}
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	nobody := &person{t: t, url: p.URL}
	for _, c := range []struct {
		body string
		want int
	}{
		{``, 400}, {`nonsense`, 400}, {`{}`, 400}, {`{"name":""}`, 400}, {`{"name":"  "}`, 400}, {`{"name":5}`, 400},
		{`{"name":"ana","more":1}`, 400}, {`{"name":"ana"} {}`, 400}, {`{"name":"a\u0000b"}`, 400}, {`{"name":"a\u200bb"}`, 400},
		{`{"name":"\u202ename"}`, 400}, {`{"name":"a\u200db"}`, 400}, {`{"name":"\u3164"}`, 400}, {`{"name":"a\u00adb"}`, 400},
		{`{"name":"` + strings.Repeat("n", 33) + `"}`, 400}, {`{"name":"` + strings.Repeat("n", 5000) + `"}`, 400},
		{`{"name":"` + strings.Repeat("é", 32) + `"}`, 201}, {`{"name":"עברית"}`, 201}, {`{"name":"👍🏽"}`, 201},
	} {
		nobody.ask("POST", "/session", c.body, c.want, nil)
	}
	var got struct{ Token, Name, Mark string }
	res := nobody.ask("POST", "/session", `{"name":" e\u0301va  x "}`, 201, &got)
	if got.Name != "éva x" {
		t.Errorf("the name is %q", got.Name)
	}
	cookie := res.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure || cookie.MaxAge != 12*3600 || cookie.Value != got.Token {
		t.Errorf("cookie %+v", cookie)
	}
	req, _ := http.NewRequest("GET", p.URL+"/session", nil)
	req.AddCookie(cookie)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if len(got.Mark) != 4 || strings.TrimSpace(string(body)) != `{"name":"éva x","mark":"`+got.Mark+`"}` {
		t.Errorf("I am %s", body)
	}
	for name, token := range map[string]string{
		"none":             "",
		"nonsense":         "nonsense",
		"a changed one":    got.Token[:len(got.Token)-2] + "xx",
		"an unsigned one":  "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + strings.Split(got.Token, ".")[1] + ".",
		"another server's": signIn(t, programtest.Start(t).URL, "ana").token,
	} {
		somebody := &person{t: t, url: p.URL, token: token}
		if res := postTicket(t, somebody); res != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, res)
		}
	}
	foreign, _ := http.NewRequest("POST", p.URL+"/session", strings.NewReader(`{"name":"ana"}`))
	foreign.Header.Set("Origin", "https://foe.example")
	foreign.Header.Set("Content-Type", "application/json")
	res, err = http.DefaultClient.Do(foreign)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign page signs in: %s", res.Status)
	}
	nobody.ask("DELETE", "/session", "", http.StatusNoContent, nil)
}

func TestAForeignPageGetsNoTicket(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	ana := signIn(t, p.URL, "ana")
	for _, method := range []string{"POST /ticket", "DELETE /session"} {
		verb, path, _ := strings.Cut(method, " ")
		req, _ := http.NewRequest(verb, p.URL+path, nil)
		req.Header.Set("Authorization", "Bearer "+ana.token)
		req.Header.Set("Origin", "https://foe.example")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", method, res.Status)
		}
	}
}

// Without a trusted proxy, a client's claim about its address is ignored.
func TestAnAddressIsNotSaid(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t)
	ticket := signIn(t, p.URL, "ana").ticket()
	header := map[string]string{"X-Forwarded-For": "203.0.113.9", "X-Real-Ip": "203.0.113.9"}
	if got := upgradeStatus(t, p, "lobby?ticket="+ticket, header); got != http.StatusSwitchingProtocols {
		t.Errorf("%d", got)
	}
}
