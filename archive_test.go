package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/net/websocket"

	"echows/internal/pgtest"
)

// postgres is a PostgreSQL server of the test's own.
type postgres struct {
	*pgtest.Server
	t   *testing.T
	url string
}

func startPostgres(t *testing.T) *postgres {
	t.Helper()
	s := pgtest.Start(t)
	return &postgres{s, t, s.URL("postgres")}
}

// row is one of the table.
type row struct {
	Seq                    int64
	Room, ID, Author, Text string
}

// rows waits until the table has so many, and returns them.
func (p *postgres) rows(n int) []row {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		rows, err := p.query(ctx)
		if len(rows) >= n {
			return rows
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("%d rows of %d: %v", len(rows), n, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *postgres) query(ctx context.Context) ([]row, error) {
	conn, err := pgx.Connect(ctx, p.url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT seq, room, id, author, text FROM messages ORDER BY seq`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[row])
}

// equal compares the table with what the stream holds of a room.
func (p *postgres) equal(who *person, room string, n int) {
	p.t.Helper()
	rows := p.rows(n)
	m, history := who.join(room, "&after=0")
	m.conn.Close()
	if len(rows) != n || len(history.Messages) != n {
		p.t.Fatalf("%d rows, %d messages, want %d", len(rows), len(history.Messages), n)
	}
	for i, one := range history.Messages {
		if got := rows[i]; got.Seq != int64(one.Seq) || got.ID != one.ID || got.Text != one.Text || got.Author != one.From || got.Room != room {
			p.t.Fatalf("row %d is %+v, the message %+v", i, got, one)
		}
	}
}

// ready waits until /readyz answers with the status, and returns what it says.
func ready(t *testing.T, url string, status int) string {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		res, body := get(t, url+"/readyz")
		if res.StatusCode == status {
			return body
		}
		if time.Now().After(deadline) {
			t.Fatalf("/readyz says %s: %s", res.Status, body)
		}
		time.Sleep(20 * time.Millisecond) // nothing tells when
	}
}

// awaitBehind waits until /metrics says that something has been waiting to be copied.
func awaitBehind(t *testing.T, url string) {
	t.Helper()
	behind := regexp.MustCompile(`(?m)^echows_archive_behind_seconds [0-9.e-]*[1-9]`)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // nothing tells when
		_, text := get(t, url+"/metrics")
		if behind.MatchString(text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing is behind")
		}
	}
}

func TestMessagesAreSavedInPostgreSQL(t *testing.T) {
	db := startPostgres(t)
	dir := t.TempDir()
	p := startProgram(t, "-data", dir, "-database", db.url, "-post-rate", "100000", "-keep-messages", "10000")
	ana := signIn(t, p.url, `ana "o\x`)
	m, _ := ana.join("lobby", "")
	n := 0
	post := func(count int) {
		t.Helper()
		for range count {
			m.post(fmt.Sprint(n), fmt.Sprint("text\n", n, " 😀 \\ '"))
			m.await("ack")
			n++
		}
	}
	post(100)
	db.equal(ana, "lobby", n)
	ready(t, p.url, http.StatusOK)

	db.Stop()
	post(100) // the chat goes on
	if body := ready(t, p.url, http.StatusServiceUnavailable); !strings.Contains(body, "database") {
		t.Errorf("/readyz says %s", body)
	}
	awaitBehind(t, p.url)
	p.log.find(t, "not copied into the database")
	db.Restart()
	db.equal(ana, "lobby", n)
	ready(t, p.url, http.StatusOK)
	p.end()

	// Away at the start, too.
	db.Stop()
	p = startProgram(t, "-data", dir, "-database", db.url, "-post-rate", "100000", "-keep-messages", "10000")
	ana.url = p.url
	m, _ = ana.join("lobby", "")
	post(50)
	db.Restart()
	db.equal(ana, "lobby", n)
	p.end()

	// What the stream holds no more comes from the table.
	p = startProgram(t, "-data", dir, "-database", db.url, "-keep-messages", "20")
	ana.url = p.url
	var page struct{ Messages []said }
	before, got := "", 0
	for {
		ana.ask("GET", "/chat/lobby/messages?limit=40"+before, "", http.StatusOK, &page)
		if len(page.Messages) == 0 {
			break
		}
		got += len(page.Messages)
		if first := page.Messages[0]; first.ID != fmt.Sprint(n-got) || first.From != `ana "o\x` || first.At.IsZero() {
			t.Fatalf("a page begins with %+v, want %d", first, n-got)
		}
		before = fmt.Sprint("&before=", page.Messages[0].Seq)
	}
	if got != n {
		t.Errorf("%d of %d messages can be read", got, n)
	}
	p.end()

	// A lost data folder: the stream goes on above the table, which has the history.
	lost := t.TempDir()
	p = startProgram(t, "-data", lost, "-database", db.url)
	p.log.find(t, "the database has messages that the stream has not")
	ana = signIn(t, p.url, "ana")
	m, _ = ana.join("lobby", "")
	m.post("after", "the loss")
	m.await("ack")
	if rows := db.rows(n + 1); len(rows) != n+1 || rows[n].ID != "after" || rows[n].Seq <= rows[n-1].Seq {
		t.Errorf("%d rows, the last is %+v", len(rows), rows[n])
	}
	ana.ask("GET", "/chat/lobby/messages?limit=200", "", http.StatusOK, &page)
	if len(page.Messages) != 200 || page.Messages[199].ID != "after" || page.Messages[198].ID != fmt.Sprint(n-1) {
		t.Errorf("%d messages can be read", len(page.Messages))
	}
	ready(t, p.url, http.StatusOK)
	for _, name := range []string{"gaps", "missing_messages", "behind_seconds"} {
		if _, body := get(t, p.url+"/metrics"); !strings.Contains(body, "\nechows_archive_"+name+" ") {
			t.Errorf("/metrics lacks echows_archive_%s", name)
		}
	}
	p.end()
}

// A table whose sequences are other messages is refused.
func TestADatabaseOfAnotherChat(t *testing.T) {
	db := startPostgres(t)
	dir := t.TempDir()
	p := startProgram(t, "-data", dir, "-database", db.url)
	m, _ := signIn(t, p.url, "ana").join("lobby", "")
	m.post("1", "text")
	m.await("ack")
	db.rows(1)
	p.end()
	conn, err := pgx.Connect(t.Context(), db.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `UPDATE messages SET id = 'another'`); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if code := run(context.Background(), []string{"-addr", "127.0.0.1:0", "-data", dir, "-database", db.url}, func(string) string { return "" }, &out); code != 1 || !strings.Contains(out.String(), "do not belong together") {
		t.Errorf("another chat's table: exit code %d: %s", code, &out)
	}
}

func TestAKilledProcessCopiesEachMessageOnce(t *testing.T) {
	db := startPostgres(t)
	dir := t.TempDir()
	start := func() *process {
		return startProcess(t, "-data", dir, "-database", db.url, "-secret", strings.Repeat("s", 32), "-post-rate", "100000", "-keep-messages", "10000")
	}
	p := start()
	for round := range 5 {
		m, _ := signIn(t, p.url, "ana").join("lobby", "")
		var all sync.WaitGroup
		all.Go(func() {
			for i := range 1500 { // all rounds together no more than are kept
				if websocket.JSON.Send(m.conn, map[string]string{"type": "post", "id": fmt.Sprint(round, "-", i), "text": "again"}) != nil {
					return
				}
			}
		})
		for range 150 {
			m.await("ack")
		}
		p.kill()
		m.conn.Close()
		all.Wait()
		p = start()
	}
	ana := signIn(t, p.url, "ana")
	m, history := ana.join("lobby", "&after=0")
	m.conn.Close()
	db.equal(ana, "lobby", len(history.Messages))
}

// Two nodes: one copies, and when it ends, the other does.
func TestOneNodeCopiesAtATime(t *testing.T) {
	db := startPostgres(t)
	nats := startNATS(t)
	secret := strings.Repeat("s", 32)
	one := startProgram(t, "-nats", nats, "-secret", secret, "-database", db.url, "-post-rate", "100000")
	two := startProgram(t, "-nats", nats, "-secret", secret, "-database", db.url, "-post-rate", "100000")
	ana := signIn(t, one.url, "ana")
	ana.url = two.url
	m, _ := ana.join("lobby", "")
	for i := range 20 {
		m.post(fmt.Sprint(i), "text")
		m.await("ack")
	}
	db.equal(ana, "lobby", 20)
	one.end()
	for i := range 20 {
		m.post(fmt.Sprint(20+i), "text")
		m.await("ack")
	}
	db.equal(ana, "lobby", 40)
}
