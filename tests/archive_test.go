package tests

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/net/websocket"

	"echows/internal/pgtest"
	"echows/internal/programtest"
)

// postgres is a PostgreSQL server for one test.
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

// row is a row of the table.
type row struct {
	Seq                    int64
	Room, ID, Author, Text string
}

// rows waits until the table has n rows, and returns them.
func (p *postgres) rows(n int) (rows []row) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), programtest.Patience)
	defer cancel()
	comesTrue(p.t, func() (string, bool) {
		var err error
		rows, err = p.query(ctx)
		return fmt.Sprintf("%d rows of %d: %v", len(rows), n, err), len(rows) >= n
	})
	return rows
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

// equal checks that the table has the same messages of a room as the stream.
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

// ready waits until /readyz answers with the status, and returns the body.
func ready(t *testing.T, url string, status int) (body string) {
	t.Helper()
	comesTrue(t, func() (string, bool) {
		var res *http.Response
		res, body = programtest.Get(t, url+"/readyz")
		return "/readyz says " + res.Status + ": " + body, res.StatusCode == status
	})
	return body
}

// awaitBehind waits until /metrics says that messages are waiting to be copied.
func awaitBehind(t *testing.T, url string) {
	t.Helper()
	behind := regexp.MustCompile(`(?m)^echows_archive_behind_seconds [0-9.e-]*[1-9]`)
	comesTrue(t, func() (string, bool) {
		_, text := programtest.Get(t, url+"/metrics")
		return "nothing is behind", behind.MatchString(text)
	})
}

func TestMessagesAreSavedInPostgreSQL(t *testing.T) {
	t.Parallel()
	db := startPostgres(t)
	dir := t.TempDir()
	p := programtest.Start(t, "-data", dir, "-database", db.url, "-post-rate", "100000", "-keep-messages", "10000")
	ana := signIn(t, p.URL, `ana "o\x`)
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
	ready(t, p.URL, http.StatusOK)

	db.Stop()
	post(100) // the chat still works
	if body := ready(t, p.URL, http.StatusServiceUnavailable); !strings.Contains(body, "database") {
		t.Errorf("/readyz says %s", body)
	}
	awaitBehind(t, p.URL)
	p.Log.Find(t, "not copied into the database")
	db.Restart()
	db.equal(ana, "lobby", n)
	ready(t, p.URL, http.StatusOK)
	p.End()

	// The database may also be down at the start.
	db.Stop()
	p = programtest.Start(t, "-data", dir, "-database", db.url, "-post-rate", "100000", "-keep-messages", "10000")
	ana.url = p.URL
	m, _ = ana.join("lobby", "")
	post(50)
	db.Restart()
	db.equal(ana, "lobby", n)
	p.End()

	// Messages that the stream no longer holds come from the table.
	p = programtest.Start(t, "-data", dir, "-database", db.url, "-keep-messages", "20")
	ana.url = p.URL
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
	p.End()

	// After the loss of the data folder, the stream continues after the table's last sequence, and the table has the history.
	lost := t.TempDir()
	p = programtest.Start(t, "-data", lost, "-database", db.url)
	p.Log.Find(t, "the database has messages that the stream does not have")
	ana = signIn(t, p.URL, "ana")
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
	ready(t, p.URL, http.StatusOK)
	for _, name := range []string{"gaps", "missing_messages", "behind_seconds"} {
		if _, body := programtest.Get(t, p.URL+"/metrics"); !strings.Contains(body, "\nechows_archive_"+name+" ") {
			t.Errorf("/metrics lacks echows_archive_%s", name)
		}
	}
	p.End()
}

// The program refuses a table that has other messages under the stream's sequences.
func TestADatabaseOfAnotherChat(t *testing.T) {
	t.Parallel()
	db := startPostgres(t)
	dir := t.TempDir()
	p := programtest.Start(t, "-data", dir, "-database", db.url)
	m, _ := signIn(t, p.URL, "ana").join("lobby", "")
	m.post("1", "text")
	m.await("ack")
	db.rows(1)
	p.End()
	conn, err := pgx.Connect(t.Context(), db.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `UPDATE messages SET id = 'another'`); err != nil {
		t.Fatal(err)
	}
	if code, out := programtest.Run(t, "-addr", "127.0.0.1:0", "-data", dir, "-database", db.url); code != 1 || !strings.Contains(out, "do not belong together") {
		t.Errorf("another chat's table: exit code %d: %s", code, out)
	}
}

func TestAKilledProcessCopiesEachMessageOnce(t *testing.T) {
	t.Parallel()
	db := startPostgres(t)
	dir := t.TempDir()
	start := func() *programtest.Program {
		return programtest.Start(t, "-data", dir, "-database", db.url, "-secret", strings.Repeat("s", 32), "-post-rate", "100000", "-keep-messages", "10000")
	}
	p := start()
	for round := range 5 {
		m, _ := signIn(t, p.URL, "ana").join("lobby", "")
		var all sync.WaitGroup
		all.Go(func() {
			for i := range 1500 { // all rounds together post no more than are kept
				if websocket.JSON.Send(m.conn, map[string]string{"type": "post", "id": fmt.Sprint(round, "-", i), "text": "again"}) != nil {
					return
				}
			}
		})
		for range 150 {
			m.await("ack")
		}
		p.Kill()
		m.conn.Close()
		all.Wait()
		p = start()
	}
	ana := signIn(t, p.URL, "ana")
	m, history := ana.join("lobby", "&after=0")
	m.conn.Close()
	db.equal(ana, "lobby", len(history.Messages))
}

// Of two nodes, one copies; when it ends, the other one does.
func TestOneNodeCopiesAtATime(t *testing.T) {
	t.Parallel()
	db := startPostgres(t)
	one, two := twoNodes(t, "-database", db.url, "-post-rate", "100000")
	ana := signIn(t, one.URL, "ana")
	ana.url = two.URL
	m, _ := ana.join("lobby", "")
	for i := range 20 {
		m.post(fmt.Sprint(i), "text")
		m.await("ack")
	}
	db.equal(ana, "lobby", 20)
	one.End()
	for i := range 20 {
		m.post(fmt.Sprint(20+i), "text")
		m.await("ack")
	}
	db.equal(ana, "lobby", 40)
}

// Who asked for messages that cannot be read from the database is in the log: the request, or the connection.
func TestReadsWithoutTheDatabaseNameWhoAsked(t *testing.T) {
	t.Parallel()
	db := startPostgres(t)
	p := programtest.Start(t, "-database", db.url, "-post-rate", "100000", "-keep-messages", "10")
	ana := signIn(t, p.URL, "ana")
	m, _ := ana.join("lobby", "")
	for n := range 30 {
		m.post(fmt.Sprint(n), "hello")
		m.await("ack")
		if n%5 == 4 {
			db.rows(n + 1) // before the stream discards them
		}
	}
	db.Stop()
	res := ana.ask("GET", "/chat/lobby/messages", "", http.StatusOK, nil)
	const line = `msg="older messages cannot be read from the database" id=`
	if id := p.Log.Find(t, line); id != res.Header.Get("X-Request-Id") {
		t.Errorf("the request is logged as %s", id)
	}
	m.conn.Close()
	p.Log.Find(t, `msg="socket closed" id=`)
	ana.join("lobby", "&after=1")
	var sockets [][]string
	comesTrue(t, func() (string, bool) {
		sockets = regexp.MustCompile(`msg="socket opened" id=(\S+)`).FindAllStringSubmatch(p.Log.String(), -1)
		return "the log does not have the second socket", len(sockets) == 2
	})
	p.Log.Find(t, line+sockets[1][1]+" ")
}
