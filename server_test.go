package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"
	"golang.org/x/net/websocket"

	"echows/internal/certtest"
	"echows/internal/natstest"
	"echows/internal/programtest"
	"echows/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program is the whole server, started as by main, but in the test's own process: if a goroutine outlives it, TestMain fails.
// Package tests runs it as a separate process.
type program struct {
	t    *testing.T
	url  string // http://127.0.0.1:PORT
	stop context.CancelFunc
	exit chan int
	log  *programtest.Log
}

func startProgram(t *testing.T, args ...string) *program {
	t.Helper()
	p := launchProgram(t, args...)
	p.url = p.log.Find(t, "open=")
	return p
}

// launchProgram starts the program without waiting until it serves.
func launchProgram(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := &program{t, "", stop, make(chan int, 1), new(programtest.Log)}
	args = append([]string{"-addr", "127.0.0.1:0", "-data", t.TempDir()}, args...)
	go func() {
		code := run(ctx, args, func(string) string { return "" }, p.log)
		p.log.End()
		p.exit <- code
	}()
	t.Cleanup(func() {
		p.end()
		http.DefaultClient.CloseIdleConnections()
	})
	return p
}

// end stops the program and expects exit code 0.
func (p *program) end() {
	p.t.Helper()
	p.stop()
	select {
	case code := <-p.exit:
		if code != 0 {
			p.t.Errorf("exit code %d:\n%s", code, p.log)
		}
		p.exit <- 0
	case <-time.After(programtest.Patience):
		p.t.Fatal("the program does not end")
	}
}

// startServer starts the server without the program around it, so that a test can change what no setting does: clients have
// answerTime to read an answer.
func startServer(t *testing.T, answerTime time.Duration, args ...string) *server {
	t.Helper()
	args = append([]string{"-addr", "127.0.0.1:0", "-data", t.TempDir()}, args...)
	set, err := settings.Read(args, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	set.AnswerTime = answerTime
	s, err := start(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

// ask sends a request with a session's token, expects a status, and decodes the answer.
func ask(t *testing.T, method, url, token, body string, status int, answer any) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(answer); res.StatusCode != status || err != nil {
		t.Fatalf("%s %s: %s, %v", method, url, res.Status, err)
	}
}

// signIn begins a session and returns its token.
func signIn(t *testing.T, url string) string {
	t.Helper()
	var session struct{ Token string }
	ask(t, "POST", url+"/session", "", `{"name":"ana"}`, http.StatusCreated, &session)
	return session.Token
}

func TestTheFirstLesson(t *testing.T) {
	p := startProgram(t)
	for _, path := range []string{"/ws", "/ws/"} {
		conn := programtest.Dial(t, p.url, path)
		for _, message := range []string{`{"loaded":true}`, "anything", ""} {
			if err := websocket.Message.Send(conn, message); err != nil {
				t.Fatal(err)
			}
			if got, want := programtest.Receive(t, conn), `{"append":true,"returnText":"I am using websockets!"}`; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		conn.Close()
	}
	p.log.Find(t, `got="15 bytes of text"`)
	p.log.Find(t, `msg="socket opened"`)
	p.log.Find(t, "path=/ws/ code=1000")
}

func TestShutdownClosesSockets(t *testing.T) {
	p := startProgram(t)
	conn := programtest.Dial(t, p.url, "/ws/echo")
	fmt.Fprint(conn, "here")
	programtest.Receive(t, conn)
	p.stop()
	frame, err := conn.NewFrameReader()
	if err != nil {
		t.Fatal(err)
	}
	io.ReadAll(frame.HeaderReader())
	payload, _ := io.ReadAll(frame)
	if frame.PayloadType() != websocket.CloseFrame || !bytes.HasPrefix(payload, []byte{1012 >> 8, 1012 & 0xff}) {
		t.Errorf("got type %d, %q; want close 1012", frame.PayloadType(), payload)
	}
	conn.Close()
	p.end()
	if res, err := http.Get(p.url + "/healthz"); err == nil {
		t.Errorf("after the end it answers %s", res.Status)
	}
}

// When a node ends, so does everything that it runs: sockets of each kind, and the goroutines that talk to other nodes.
func TestANodeEnds(t *testing.T) {
	p := startProgram(t, "-nats", natstest.Start(t), "-recovery", "1m", "-secret", "0123456789abcdef")
	var got struct{ Ticket string }
	ask(t, "POST", p.url+"/ticket", signIn(t, p.url), "", http.StatusCreated, &got)
	var members sync.WaitGroup
	for path, hello := range map[string]string{
		"/ws/broadcast":                         "hello",
		"/ws/chat/lobby?ticket=" + got.Ticket:   `{"type":"post","id":"1","text":"hello"}`,
		"/socket.io/?EIO=4&transport=websocket": `40{"name":"ana"}`,
	} {
		conn := programtest.Dial(t, p.url, path)
		fmt.Fprint(conn, hello)
		programtest.Receive(t, conn) // once it receives something, it is a member
		members.Go(func() {
			defer conn.Close()
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s does not end", path)
			}
		})
	}
	p.end()
	members.Wait()
}

func TestOverTLS(t *testing.T) {
	cert, key, pool := certtest.Files(t)
	p := startProgram(t, "-tls-cert", cert, "-tls-key", key)
	config, err := websocket.NewConfig("wss"+strings.TrimPrefix(p.url, "https")+"/ws/echo", p.url)
	if err != nil {
		t.Fatal(err)
	}
	config.TlsConfig = &tls.Config{RootCAs: pool}
	conn, err := websocket.DialConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(programtest.Patience))
	h2 := &http.Client{Transport: &http.Transport{TLSClientConfig: config.TlsConfig, ForceAttemptHTTP2: true}}
	defer h2.CloseIdleConnections()
	if res, err := h2.Get(p.url + "/ws"); err != nil || res.ProtoMajor != 2 || res.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("over HTTP/2: %v %v", res, err)
	} else {
		res.Body.Close()
	}
	res, err := h2.Post(p.url+"/session", "application/json", strings.NewReader(`{"name":"ana"}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if cookies := res.Cookies(); len(cookies) != 1 || !cookies[0].Secure || cookies[0].Name != "__Host-echows_session" {
		t.Errorf("the session's cookie is not for https alone: %v", cookies)
	}
	if res.Header.Get("Strict-Transport-Security") == "" {
		t.Error("browsers may come back by http:")
	}
	who, err := http.NewRequest("GET", p.url+"/session", nil)
	if err != nil {
		t.Fatal(err)
	}
	who.AddCookie(res.Cookies()[0])
	if res, err := h2.Do(who); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("with the cookie: %v %v", res, err)
	} else {
		res.Body.Close()
	}
	for _, want := range []string{"short", strings.Repeat("long ", 50_000)} {
		fmt.Fprint(conn, want)
		if got := programtest.Receive(t, conn); got != want {
			t.Errorf("got %d bytes, want %d", len(got), len(want))
		}
	}
}

func TestWhatCanBeMendedIsOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cert, key, _ := certtest.Files(t)
	for _, c := range []struct {
		name string
		args string
		env  map[string]string
		code int
		want string
	}{
		{"a taken port", "-addr " + taken.Addr().String(), nil, 1, "is in use"},
		{"an address that is none", "-addr nonsense", nil, 2, `-addr "nonsense" is not an address`},
		{"an address of another machine", "-addr 192.0.2.1:3000", nil, 1, "cannot listen on 192.0.2.1:3000"},
		{"a port that is none", "-addr 127.0.0.1:x", nil, 2, "is not an address to listen on"},
		{"a port that is too high", "-addr :70000", nil, 2, "is not an address to listen on"},
		{"a time that is none", "-keep-time 3x", nil, 2, "want a time, such as 90s, 12h or 30d"},
		{"a certificate that is not there", "-tls-cert nowhere.pem -tls-key " + key, nil, 1, "nowhere.pem"},
		{"a certificate that is none", "-tls-cert " + key + " -tls-key " + key, nil, 1, "certificate"},
		{"a certificate without its key", "-tls-cert " + cert, nil, 2, "go together"},
		{"an unknown flag", "-unknown", nil, 2, "-unknown"},
		{"an argument", "now", nil, 2, `"now"`},
		{"a size that is none", "-max-message lots", nil, 2, "such as 65536, 64KiB or 1MiB"},
		{"a certificate from two places", "-tls-domain example.com -tls-cert " + cert + " -tls-key " + key, nil, 2, "-tls-domain"},
		{"a sync that is none", "-sync never", nil, 2, "such as 1s"},
		{"a proxy that is none", "-trusted-proxies here", nil, 2, "10.0.0.0/8"},
		{"a short secret", "-secret short", nil, 2, "16 bytes"},
		{"a log that is none", "-log xml", nil, 2, "text or json"},
		{"a level that is none", "-log-level loud", nil, 2, "-log-level"},
		{"a folder that cannot be", "-data " + cert, nil, 1, "cannot make the data folder"},
		{"a NATS URL that is none", "-nats http://127.0.0.1:1", nil, 1, "not the URL of a NATS server"},
		{"a NATS list with a gap", "-nats nats://127.0.0.1:1,,nats://127.0.0.1:2", nil, 1, "not the URL of a NATS server"},
		{"a setting for NATS without it", "-nats-ca " + cert, nil, 2, "add -nats"},
		{"replicas without NATS", "-replicas 3", nil, 2, "add -nats"},
		{"two replicas", "-nats nats://127.0.0.1:1 -replicas 2", nil, 2, "1, 3 or 5"},
		{"credentials that are not there", "-nats nats://127.0.0.1:1 -nats-creds nowhere.creds", nil, 2, "-nats-creds: open nowhere.creds"},
		{"credentials that are none", "-nats nats://127.0.0.1:1 -nats-creds " + cert, nil, 2, "has no credentials"},
		{"a CA that is none", "-nats nats://127.0.0.1:1 -nats-ca " + key, nil, 2, "has no certificates"},
		{"a NATS certificate that is not there", "-nats nats://127.0.0.1:1 -nats-cert nowhere.pem -nats-key " + key, nil, 2, "nowhere.pem"},
		{"a CA that is not there", "-nats nats://127.0.0.1:1 -nats-ca nowhere.pem", nil, 2, "-nats-ca: open nowhere.pem"},
		{"a NATS certificate without its key", "-nats nats://127.0.0.1:1 -nats-cert " + cert, nil, 2, "-nats-cert and -nats-key go together"},
		{"a NATS certificate that is none", "-nats nats://127.0.0.1:1 -nats-cert " + key + " -nats-key " + key, nil, 2, "certificate (-nats-cert"},
		{"a database URL that is none", "-database mysql://here", nil, 1, "-database"},
		{"a rate that is no number", "-post-rate NaN", nil, 2, "-post-rate"},
		{"a rate without end", "-address-rate Inf", nil, 2, "-address-rate"},
		{"posts below none", "-address-posts -1", nil, 2, "-address-posts"},
		{"a rate below none", "-address-events -1", nil, 2, "-address-events"},
		{"too many messages", "-keep-messages 100000", nil, 2, "10000"},
		{"a size that is too large", "-max-message 2000MiB", nil, 2, "1024MiB"},
		{"an origin without a scheme", "-origins example.com", nil, 2, "https://example.com"},
		{"a recovery without end", "-recovery 100h", nil, 2, "-recovery"},
		{"a ping too often", "-ping 1ms", nil, 2, "too short"},
		{"a bad environment", "", map[string]string{"PING_INTERVAL": "often"}, 2, "PING_INTERVAL"},
		{"a bad port", "", map[string]string{"PORT": "99999"}, 2, `"99999" in the environment variable PORT`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out programtest.Log
			code := run(context.Background(), append([]string{"-data", t.TempDir()}, strings.Fields(c.args)...), func(name string) string { return c.env[name] }, &out)
			if code != c.code || !strings.Contains(out.String(), c.want) || strings.Count(out.String(), "\n") != 1+strings.Count(out.String(), "level=") {
				t.Errorf("exit code %d, want %d:\n%s", code, c.code, &out)
			}
		})
	}
}

// -h lists every setting with its environment variable and its default, and the flags that are not settings.
func TestHelp(t *testing.T) {
	var help bytes.Buffer
	if code := run(context.Background(), []string{"-h"}, os.Getenv, &help); code != 0 {
		t.Errorf("-h exits with %d", code)
	}
	for _, word := range []string{"-addr", "PORT", "-origins", "ALLOWED_ORIGINS", "-tls-cert", "TLS_CERT", "-tls-key", "TLS_KEY", "-max-message", "MAX_MESSAGE", "1MiB", "-ping", "PING_INTERVAL", "25s", "-version"} {
		if !strings.Contains(help.String(), word) {
			t.Errorf("-h lacks %s", word)
		}
	}
}

func TestTheLog(t *testing.T) {
	lines := func(args ...string) string {
		p := startProgram(t, args...)
		p.end()
		return p.log.String()
	}
	if text := lines("-log-level", "info"); !strings.Contains(text, " level=INFO msg=listening ") {
		t.Errorf("as text: %s", text)
	}
	p := launchProgram(t, "-log", "json")
	p.log.Find(t, `"open":`)
	p.end()
	for line := range strings.Lines(p.log.String()) {
		var one struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &one); err != nil || one.Time == "" || one.Level == "" || one.Msg == "" {
			t.Errorf("as JSON: %s", line)
		}
	}
	quiet := launchProgram(t, "-log-level", "error")
	quiet.end()
	if text := quiet.log.String(); text != "" {
		t.Errorf("of errors alone: %s", text)
	}
}

// The README's smallest program and its settings are correct.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("lessons/1-first-websocket/smallest/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(program), "package main")
	if !strings.Contains(string(readme), "\npackage main"+code+"```") {
		t.Error("the README shows another smallest program")
	}
	var help bytes.Buffer
	run(context.Background(), []string{"-h"}, os.Getenv, &help)
	for line := range strings.Lines(help.String()) {
		flag, variable, ok := strings.Cut(strings.TrimSpace(line), ", ") // such as: -addr address, PORT
		if !ok || flag[0] != '-' {
			continue
		}
		if name, _, _ := strings.Cut(flag, " "); !strings.Contains(string(readme), "`"+name+"`") || !strings.Contains(string(readme), "`"+variable+"`") {
			t.Errorf("the README's settings lack %s, %s", name, variable)
		}
	}
}

// With -tls-domain, the certificate comes from the cache in the data folder, and only that domain is served.
func TestADomainsCertificate(t *testing.T) {
	cert, key, pool := certtest.Files(t)
	dir := t.TempDir()
	both := make([]byte, 0, 4096)
	for _, name := range []string{key, cert} {
		part, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, part...)
	}
	if err := os.MkdirAll(filepath.Join(dir, "certificates"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "certificates", "chat.example"), both, 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProgram(t, "-data", dir, "-tls-domain", "chat.example")
	addr := strings.TrimPrefix(p.url, "https://")
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "chat.example"})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "other.example"}); err == nil {
		conn.Close()
		t.Error("another domain is served")
	}
}

// The page for status 500 says that the log has more: handlers that fail or panic are in it, with the request's id.
func TestFaultsAreInTheLog(t *testing.T) {
	lines := new(programtest.Log)
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(lines, nil)))
	s := startServer(t, settings.AnswerTime)
	s.app.Echo().GET("/panics", func(echo.Context) error { panic("on purpose") })
	s.app.Echo().GET("/fails", func(echo.Context) error { return errors.New("the disk is full") })
	for path, want := range map[string]string{"/panics": `msg="a handler panicked" id=`, "/fails": `msg="a request failed" id=`} {
		res, _ := programtest.Get(t, s.URL()+path)
		if id := lines.Find(t, want); res.StatusCode != http.StatusInternalServerError || id != res.Header.Get("X-Request-Id") {
			t.Errorf("%s: %s, the id is %s, in the log %s", path, res.Status, res.Header.Get("X-Request-Id"), id)
		}
	}
}

// Clients that request large answers but do not read them are disconnected, and others then get their answers.
func TestAnswersThatNobodyReads(t *testing.T) {
	const answerTime = time.Second / 4
	s := startServer(t, answerTime, "-sync", "1s", "-post-rate", "1000")
	token := signIn(t, s.URL())
	for i := range 200 {
		var stored struct{ Seq uint64 }
		post := fmt.Sprintf(`{"id":"%d","text":%q}`, i, strings.Repeat("語", 2000))
		ask(t, "POST", s.URL()+"/chat/lobby/messages", token, post, http.StatusCreated, &stored)
	}
	question := fmt.Sprintf("GET /chat/lobby/messages?limit=200 HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", s.Addr(), token)
	var all sync.WaitGroup
	for range 10 { // more than may be answered at the same time
		conn := rawConn(t, s)
		conn.SetReadBuffer(4096)
		conn.SetDeadline(time.Now().Add(5 * programtest.Patience)) // ten times 100 answers of 256 KiB take a while
		all.Go(func() {
			for {
				if _, err := io.WriteString(conn, strings.Repeat(question, 100)); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("a reader of nothing is kept")
					return
				} else if err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	var page struct{ Messages []struct{ ID string } }
	ask(t, "GET", s.URL()+"/chat/lobby/messages?limit=200", token, "", http.StatusOK, &page)
	if n := len(page.Messages); n < 40 || n > 44 || page.Messages[n-1].ID != "199" { // the newest 256 KiB
		t.Errorf("%d messages", n)
	}
	aSocketLasts(t, s, 2*answerTime)
}

// aSocketLasts expects that a connection with an earlier answer can become a WebSocket that outlasts the time limit of answers.
func aSocketLasts(t *testing.T, s *server, long time.Duration) {
	t.Helper()
	conn := rawConn(t, s)
	fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", s.Addr())
	for answer := ""; !strings.HasSuffix(answer, "}\n"); {
		some := make([]byte, 1000)
		n, err := conn.Read(some)
		if err != nil {
			t.Fatal(err)
		}
		answer += string(some[:n])
	}
	config, err := websocket.NewConfig(fmt.Sprint("ws://", s.Addr(), "/ws/echo"), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	socket, err := websocket.NewClient(config, conn)
	if err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); time.Since(begin) < long; {
		fmt.Fprint(socket, "still here")
		programtest.Receive(t, socket)
	}
}

// rawConn opens a TCP connection, on which the test reads and writes by itself.
func rawConn(t *testing.T, s *server) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(programtest.Patience))
	return conn
}
