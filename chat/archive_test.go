package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"echows/broker"
	"echows/internal/natstest"
	"echows/internal/pgtest"
	"echows/internal/proxytest"
)

// lockedBuffer is a log to be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// copyNode is a stream and its copy, without the chat around them.
type copyNode struct {
	t       *testing.T
	broker  *broker.Broker
	entries *broker.Log
	archive *archive
	log     *lockedBuffer
	cancel  context.CancelFunc
	running sync.WaitGroup
	posted  int
	conn    *nats.Conn // the operator's
}

// startNode opens the stream of a NATS server, keeping so many messages of a room.
func startNode(t *testing.T, nats, database string, keep int) *copyNode {
	t.Helper()
	n := openNode(t, nats, database, keep)
	if err := n.archive.begin(testContext(t), n.entries); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.running.Go(func() { n.archive.run(ctx) })
	n.running.Go(func() { n.archive.watch(ctx) })
	return n
}

func openNode(t *testing.T, url, database string, keep int) *copyNode {
	t.Helper()
	n := &copyNode{t: t, log: &lockedBuffer{}, cancel: func() {}}
	logger := slog.New(slog.NewTextHandler(n.log, nil))
	var err error
	if n.conn, err = nats.Connect(url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.conn.Close)
	if n.broker, err = broker.Open(testContext(t), broker.Config{URL: url, Logger: logger}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	var last uint64
	if n.archive, last, err = openArchive(testContext(t), database, logger); err != nil {
		t.Fatal(err)
	}
	n.archive.chunk = 7
	if last == 0 {
		n.countFromOne(keep)
	}
	if n.entries, err = n.broker.OpenLog(testContext(t), broker.LogConfig{Name: "chat", PerTopic: keep, MaxAge: time.Hour, MaxBytes: 64 << 20,
		Duplicates: time.Minute, After: last}); err != nil {
		t.Fatal(err)
	}
	return n
}

// countFromOne makes the stream, unless there is one, as it was made before it had epochs: its sequences begin with 1.
func (n *copyNode) countFromOne(keep int) {
	n.t.Helper()
	js, err := jetstream.New(n.conn)
	if err == nil {
		_, err = js.CreateStream(testContext(n.t), jetstream.StreamConfig{Name: "CHAT", Subjects: []string{"chat.*"}, MaxMsgsPerSubject: int64(keep)})
	}
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		n.t.Fatal(err)
	}
}

func (n *copyNode) stop() {
	n.cancel()
	n.running.Wait()
	if n.archive != nil {
		n.archive.close()
		n.archive = nil
	}
	n.broker.Close()
}

// post stores messages in a room, and returns the last one's sequence.
func (n *copyNode) post(room string, count int) (seq uint64) {
	n.t.Helper()
	for range count {
		n.posted++
		id := fmt.Sprint(room, n.posted)
		data, err := json.Marshal(Message{ID: id, From: "ana", Mark: "k3f7", Text: "text " + id, At: time.Now().UTC()})
		if err == nil {
			seq, _, err = n.entries.Append(testContext(n.t), room, id, data)
		}
		if err != nil {
			n.t.Fatal(err)
		}
	}
	return seq
}

// says waits for a line in the log.
func (n *copyNode) says(part string) {
	n.t.Helper()
	comesTrue(n.t, part, func() (string, bool) { log := n.log.String(); return log, strings.Contains(log, part) })
}

// shortly is how long readiness may take to change in a test. It takes five seconds on a machine that is not busy.
const shortly = 20 * time.Second

// ready waits until the archive is ready, or says this; and fails when that takes longer than it may.
func (n *copyNode) ready(part string, within time.Duration) {
	n.t.Helper()
	began := time.Now()
	comesTrue(n.t, "ready: "+part, func() (string, bool) {
		err := n.archive.ready()
		if part == "" {
			return fmt.Sprint(err), err == nil
		}
		return fmt.Sprint(err), err != nil && strings.Contains(err.Error(), part)
	})
	if took := time.Since(began); took > within {
		n.t.Errorf("%q took %v", part, took)
	}
}

const (
	rowCount     = `SELECT count(*) FROM messages`
	gapCount     = `SELECT count(*) FROM gaps`
	missingCount = `SELECT coalesce(sum(last - first + 1), 0)::bigint FROM gaps`
)

func TestMessagesDiscardedBeforeTheyAreCopiedAreAGap(t *testing.T) {
	t.Parallel()
	address := pgtest.Start(t).Addr()
	db := openAdmin(t, address, "postgres")
	network := proxytest.Start(t, address)
	nats := natstest.Start(t)
	n := startNode(t, nats, pgtest.URL(network.Addr(), "postgres"), 400)
	n.post("quiet", 1)
	db.await(rowCount, 1)
	network.Cut()
	n.ready("it cannot be reached", shortly)
	n.post("busy", 2000)
	network.Mend()
	db.await(rowCount, 401)
	db.await(`SELECT count(*) FROM gaps WHERE first = 2 AND last = 1601`, 1)
	n.says(`"messages at most"=1600 from=2 to=1601 gaps=1`)
	n.ready("", shortly)
	comesTrue(t, "stats", func() (string, bool) {
		s := n.archive.stats()
		return fmt.Sprint(s), s.Gaps == 1 && s.Missing == 1600 && s.Behind == 0
	})

	// What the stream discards after it was copied is none.
	n.post("busy", 1000)
	db.await(rowCount, 1401)
	db.await(gapCount, 1)
	for _, one := range []struct {
		after, before uint64
		whole         bool
	}{{0, 2, true}, {0, 3, false}, {1, 1602, false}, {1600, 1603, false}, {1601, 3002, true}, {1601, 3003, false}, {3001, 3002, true}} {
		if whole, err := n.archive.whole(testContext(t), one.after, one.before); err != nil || whole != one.whole {
			t.Errorf("between %d and %d: whole is %v: %v", one.after, one.before, whole, err)
		}
	}
	messages, err := n.archive.newer(testContext(t), "busy", 1700, 3000, 2)
	if err != nil || len(messages) != 2 || messages[0].Seq != 1701 || messages[1].Seq != 1702 || messages[0].Mark != "k3f7" || messages[0].From != "ana" {
		t.Errorf("newer ones are %+v: %v", messages, err)
	}
	messages, err = n.archive.newer(testContext(t), "busy", 2999, 3001, 5)
	if err != nil || len(messages) != 1 || messages[0].Seq != 3000 {
		t.Errorf("newer ones are %+v: %v", messages, err)
	}
	if said := strings.Count(n.log.String(), "discarded or lost them"); said != 1 {
		t.Errorf("it was said %d times", said)
	}

	// With an empty stream nothing comes that would show the gap.
	network.Cut()
	n.post("busy", 5)
	if err := openStream(t, nats).Purge(testContext(t)); err != nil {
		t.Fatal(err)
	}
	network.Mend()
	db.await(`SELECT count(*) FROM gaps WHERE first = 3002 AND last = 3006`, 1)
	n.ready("", patience)
}

// openStream is the stream as an operator has it.
func openStream(t *testing.T, url string) jetstream.Stream {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(testContext(t), "CHAT")
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestMissingRowsAreFilledIn(t *testing.T) {
	t.Parallel()
	address := pgtest.Start(t).Addr()
	db := openAdmin(t, address, "postgres")
	nats := natstest.Start(t)
	n := startNode(t, nats, pgtest.URL(address, "postgres"), 100)
	n.post("quiet", 10) // 1 to 10
	n.post("busy", 90)  // up to 100
	db.await(rowCount, 100)
	n.stop()

	// The stream has all of these still, and they come back.
	db.exec(`DELETE FROM messages WHERE seq < 3 OR seq BETWEEN 5 AND 6 OR seq BETWEEN 20 AND 60 OR seq > 95`)
	n = startNode(t, nats, pgtest.URL(address, "postgres"), 100)
	db.await(rowCount, 100)
	n.says("filled in from the stream\" messages=45")
	db.await(gapCount, 0)
	n.posted = 100
	n.post("busy", 100) // up to 200; the stream discards 11 to 100
	db.await(rowCount, 200)
	n.stop()

	// Of these only some.
	db.exec(`DELETE FROM messages WHERE seq BETWEEN 8 AND 12 OR seq BETWEEN 90 AND 110`)
	n = startNode(t, nats, pgtest.URL(address, "postgres"), 100)
	n.says("filled in from the stream\" messages=13")
	n.says(`rows were deleted, or a backup of it was restored, and the stream no longer has them" "messages at most"=13 from=11 to=100 gaps=2`)
	db.await(`SELECT count(*) FROM gaps WHERE (first, last) IN ((11, 12), (90, 100))`, 2)
	db.await(gapCount, 2)
	n.ready("", shortly)
	n.stop()

	// It is known over restarts.
	n = startNode(t, nats, pgtest.URL(address, "postgres"), 100)
	n.says(`as noticed before" "messages at most"=13 from=11 to=100 gaps=2`)
	comesTrue(t, "stats", func() (string, bool) {
		s := n.archive.stats()
		return fmt.Sprint(s), s.Gaps == 2 && s.Missing == 13
	})
	if strings.Contains(n.log.String(), "level=ERROR") {
		t.Errorf("it is said as if it were new:\n%s", n.log)
	}

	// Who deletes the oldest rows may, and they are not said to be there.
	n.stop()
	n = startNode(t, nats, pgtest.URL(address, "postgres"), 100)
	db.exec(`DELETE FROM messages WHERE seq < 5`)
	for after, want := range []bool{false, false, false, false, true} {
		if whole, err := n.archive.whole(testContext(t), uint64(after), 8); err != nil || whole != want {
			t.Errorf("between %d and 8: whole is %v: %v", after, whole, err)
		}
	}
}

func TestAGapThatTheStreamCanFillIsRemoved(t *testing.T) {
	address := pgtest.Start(t).Addr()
	db := openAdmin(t, address, "postgres")
	nats := natstest.Start(t)
	n := startNode(t, nats, pgtest.URL(address, "postgres"), 1000)
	n.post("lobby", 600)
	db.await(rowCount, 600)
	n.stop()
	db.exec(`DELETE FROM messages WHERE seq BETWEEN 2 AND 599`)
	db.exec(`INSERT INTO gaps VALUES (2, 300, '2020-01-01'), (301, 599, now())`)
	if err := openStream(t, nats).DeleteMsg(testContext(t), 100); err != nil {
		t.Fatal(err)
	}
	n = startNode(t, nats, pgtest.URL(address, "postgres"), 1000)
	db.await(rowCount, 599)
	db.await(gapCount, 1)
	db.await(`SELECT count(*) FROM gaps WHERE first = 100 AND last = 100 AND noticed_at = '2020-01-01'`, 1)
	n.says("messages=597")
}

// A table from the previous version is migrated, and its gaps are known.
func TestAnOlderTable(t *testing.T) {
	address := pgtest.Start(t).Addr()
	db := openAdmin(t, address, "postgres")
	nats := natstest.Start(t)
	n := openNode(t, nats, pgtest.URL(address, "nothing"), 1000)
	at := n.post("lobby", 10)
	n.stop()
	db.exec(migrations[0])
	db.exec(migrations[1])
	db.exec(`CREATE TABLE echows_schema (version int PRIMARY KEY)`)
	db.exec(`INSERT INTO echows_schema VALUES (1), (2)`)
	db.exec(`INSERT INTO messages (seq, room, id, author, text, posted_at) VALUES (3, 'old', 'a', 'ana', 'x', now()), (5, 'old', 'b', 'ana', 'x', now())`)
	db.exec(`DELETE FROM messages`) // what the stream holds is another message
	n = startNode(t, nats, pgtest.URL(address, "postgres"), 1000)
	db.await(rowCount, int(at))
	n.stop()
	db.exec(`DELETE FROM messages WHERE seq IN (1, 2, 5)`)
	db.exec(`DROP TABLE gaps, not_ours`)
	db.exec(`DELETE FROM echows_schema WHERE version > 2`)
	if err := openStream(t, nats).Purge(testContext(t)); err != nil {
		t.Fatal(err)
	}
	n = startNode(t, nats, pgtest.URL(address, "postgres"), 1000)
	n.says(`as noticed before" "messages at most"=3 from=1 to=5 gaps=2`)
}

func TestForeignEntriesAreNoGap(t *testing.T) {
	address := pgtest.Start(t).Addr()
	db := openAdmin(t, address, "postgres")
	nats := natstest.Start(t)
	n := startNode(t, nats, pgtest.URL(address, "postgres"), 1000)
	n.post("lobby", 2)
	for i, junk := range []string{"{", `{"id":"x","from":"a\u0000b","mark":"","text":"x","at":"2026-01-01T00:00:00Z"}`, `{"id":"x"}`} {
		if _, _, err := n.entries.Append(testContext(t), "lobby", fmt.Sprint("junk", i), []byte(junk)); err != nil {
			t.Fatal(err)
		}
	}
	db.await(`SELECT count(*) FROM not_ours`, 3)
	n.ready("", shortly)
	n.post("lobby", 2)
	db.await(rowCount, 4)
	if _, _, err := n.entries.Append(testContext(t), "lobby", "the last", []byte("junk")); err != nil {
		t.Fatal(err)
	}
	db.await(`SELECT count(*) FROM not_ours`, 4)
	conn, err := n.archive.connect(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	n.archive.mu.Lock()
	n.archive.wanted, n.archive.since = 8, time.Now() // as seen before it was copied
	n.archive.mu.Unlock()
	if err := n.archive.compare(testContext(t), conn, new(tableEnd)); err != nil || n.archive.stats().Behind != 0 {
		t.Errorf("with everything copied it is behind by %v: %v", n.archive.stats().Behind, err)
	}
	n.stop()
	n = startNode(t, nats, pgtest.URL(address, "postgres"), 1000)
	n.posted = 4
	n.post("lobby", 1)
	db.await(rowCount, 5)
	comesTrue(t, "the end of mending", func() (string, bool) { return n.log.String(), n.archive.ready() == nil })
	if db.number(gapCount) != 0 || strings.Contains(n.log.String(), "level=ERROR") {
		t.Errorf("%d gaps:\n%s", db.number(gapCount), n.log)
	}
	if whole, err := n.archive.whole(testContext(t), 0, 10); err != nil || !whole {
		t.Errorf("whole is %v: %v", whole, err)
	}
}

// startTable starts PostgreSQL, with the 30 messages of a stream that is not used any more.
func startTable(t *testing.T) (address string, db *admin) {
	t.Helper()
	address = pgtest.Start(t).Addr()
	db = openAdmin(t, address, "postgres")
	n := startNode(t, natstest.Start(t), pgtest.URL(address, "postgres"), 1000)
	n.post("lobby", 30)
	db.await(rowCount, 30)
	n.stop()
	return address, db
}

func TestALostStreamWithACompleteTable(t *testing.T) {
	address, db := startTable(t)
	other := natstest.Start(t)
	n := startNode(t, other, pgtest.URL(address, "postgres"), 1000)
	n.says(`the database has messages that the stream does not have`)
	n.says(`"up to"=30`)
	n.posted = 30
	if seq := n.post("lobby", 1); seq <= 31 {
		t.Errorf("the stream goes on with %d", seq)
	}
	db.await(rowCount, 31)
	n.ready("", shortly)
	older, err := n.archive.older(testContext(t), "lobby", 1<<53, 50)
	if err != nil || len(older) != 31 || older[0].ID != "lobby1" {
		t.Errorf("%d older ones: %v", len(older), err)
	}
	// What was posted and not copied before the loss is not known.
	if whole, err := n.archive.whole(testContext(t), 0, 31); err != nil || !whole {
		t.Errorf("up to the loss: whole is %v: %v", whole, err)
	}
	if whole, err := n.archive.whole(testContext(t), 29, 1<<50); err != nil || whole {
		t.Errorf("over the loss: whole is %v: %v", whole, err)
	}
	n.stop()
	n = startNode(t, other, pgtest.URL(address, "postgres"), 1000)
	n.ready("", shortly)
	if strings.Contains(n.log.String(), "the stream has not") {
		t.Errorf("it is said again:\n%s", n.log)
	}
}

func TestATableOfAnotherChat(t *testing.T) {
	address, db := startTable(t)

	// Away at the start.
	nats := natstest.Start(t)
	network := proxytest.Start(t, address)
	network.Cut()
	n := startNode(t, nats, pgtest.URL(network.Addr(), "postgres"), 1000)
	n.ready("it cannot be reached", shortly)
	n.post("lobby", 3)
	network.Mend()
	n.ready("it belongs to another chat", shortly)
	n.says("reason=\"it belongs to another chat")
	if said := strings.Count(n.log.String(), "reason="); said != 2 {
		t.Errorf("%d reasons are said:\n%s", said, n.log)
	}
	if got := db.number(rowCount) + db.number(gapCount); got != 30 {
		t.Errorf("%d rows", got)
	}
	n.stop()

	// There at the start.
	n = openNode(t, nats, pgtest.URL(address, "postgres"), 1000)
	if err := n.archive.begin(testContext(t), n.entries); !errors.Is(err, errForeign) {
		t.Errorf("begin: %v", err)
	}
}

// A stream that was made while the database was down, and ends before it, would assign sequences again.
func TestAStreamThatEndsBeforeTheTable(t *testing.T) {
	address, _ := startTable(t)
	nats := natstest.Start(t)
	network := proxytest.Start(t, address)
	network.Cut()
	n := startNode(t, nats, pgtest.URL(network.Addr(), "postgres"), 1000)
	network.Mend()
	n.ready("it has sequences that the stream is going to use for other messages", shortly)
}

func TestDatabaseFailuresAreExplained(t *testing.T) {
	t.Parallel()
	address := pgtest.Start(t).Addr()
	db := openAdmin(t, address, "postgres")
	nats := natstest.Start(t)
	one := startNode(t, nats, pgtest.URL(address, "chat"), 1000)
	two := startNode(t, nats, pgtest.URL(address, "chat"), 1000)
	rows := 0
	var chat *admin
	for _, wrong := range []struct{ how, what, mended string }{
		{"", "there is no database with this name", "CREATE DATABASE chat"},
		{"INSERT INTO echows_schema VALUES (99)", "newer version", "DELETE FROM echows_schema WHERE version = 99"},
		{"ALTER TABLE messages RENAME TO elsewhere", "a table or a column of it is missing", "ALTER TABLE elsewhere RENAME TO messages"},
		{"ALTER DATABASE chat SET default_transaction_read_only = on", "it is read-only", "ALTER DATABASE chat RESET default_transaction_read_only"},
		{`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''full'' USING ERRCODE = ''53100''; END';
			CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH STATEMENT EXECUTE FUNCTION refuse()`, "its disk is full", "DROP TRIGGER refuse ON messages"},
		{"ALTER ROLE echows NOLOGIN", "it refuses this program's user or password", "ALTER ROLE echows LOGIN"},
	} {
		on := chat
		if on == nil {
			on = db
		}
		if wrong.how != "" {
			on.exec(wrong.how)
			// Who is connected is not asked again.
			db.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'chat' AND query NOT LIKE 'CREATE%' AND query NOT LIKE 'ALTER%' AND query NOT LIKE 'INSERT INTO echows%'`)
		}
		one.post("lobby", 1)
		rows++
		one.ready(wrong.what, shortly)
		two.ready(wrong.what, shortly)
		one.says(wrong.what)
		on.exec(wrong.mended)
		if chat == nil {
			chat = openAdmin(t, address, "chat")
		}
		one.ready("", shortly)
		two.ready("", shortly)
		chat.await(rowCount, rows)
	}
	for _, n := range []*copyNode{one, two} {
		// A copy under way may hear of the end of its connection first.
		if lines := strings.Count(n.log.String(), "level=ERROR") - strings.Count(n.log.String(), "57P01"); lines > 6 {
			t.Errorf("%d lines:\n%s", lines, n.log)
		}
	}
}

// A node that copies and is cut off, or stopped, gives way to another.
func TestAnotherNodeTakesOver(t *testing.T) {
	t.Parallel()
	address := pgtest.Start(t).Addr()
	db := openAdmin(t, address, "postgres")
	for _, fault := range []struct {
		name           string
		database, nats bool
		says           string
	}{
		{"without the database", true, false, "it cannot be reached"},
		{"without NATS", false, true, "the stream cannot be read"},
		{"stopped", true, true, ""}, // it says something, and nobody hears it
	} {
		name := strings.ToLower(strings.ReplaceAll(fault.name, " ", "_"))
		db.exec("CREATE DATABASE " + name)
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			nats := natstest.Start(t)
			database, streams := proxytest.Start(t, address), proxytest.Start(t, strings.TrimPrefix(nats, "nats://"))
			first := startNode(t, "nats://"+streams.Addr(), pgtest.URL(database.Addr(), name), 1000)
			chat := openAdmin(t, address, name)
			first.post("lobby", 1)
			chat.await(rowCount, 1)
			second := startNode(t, nats, pgtest.URL(address, name), 1000)
			if fault.database {
				database.Freeze()
			}
			if fault.nats {
				streams.Freeze()
			}
			began := time.Now()
			second.posted = 1
			second.post("lobby", 1)
			switch {
			case fault.says == "":
			case fault.database:
				first.ready(fault.says, shortly)
			default: // readiness leaves it to the broker's, while the copy is not late
				first.says(fault.says)
			}
			chat.await(rowCount, 2)
			if took := time.Since(began); took > patience/2 {
				t.Errorf("it took %v", took)
			}
			second.ready("", shortly)
			database.Mend()
			streams.Mend()
			first.ready("", patience)
		})
	}
}

// All nodes report it when the node that copies makes no progress, whatever the reason.
func TestALateCopyIsReported(t *testing.T) {
	t.Parallel()
	address := pgtest.Start(t).Addr()
	db := openAdmin(t, address, "postgres")
	nats := natstest.Start(t)
	n := startNode(t, nats, pgtest.URL(address, "postgres"), 1000)
	n.post("lobby", 1)
	db.await(rowCount, 1)
	n.stop()
	holder := openAdmin(t, address, "postgres") // as another node that copies
	holder.exec(fmt.Sprintf("SELECT pg_advisory_lock(%d)", archiveLock))
	n = startNode(t, nats, pgtest.URL(address, "postgres"), 1000)
	n.ready("", shortly)
	n.posted = 1
	n.post("lobby", 1)
	n.ready("messages have been waiting to be copied", patience)
	n.says("the copy is behind")
	if behind := n.archive.stats().Behind; behind < archiveLate {
		t.Errorf("it is behind by %v", behind)
	}
	holder.exec(fmt.Sprintf("SELECT pg_advisory_unlock(%d)", archiveLock))
	n.ready("", shortly)
	db.await(rowCount, 2)
}

// Sequences between two epochs of the stream do not count as missing, wherever a gap begins or ends.
func TestGapsOverEpochs(t *testing.T) {
	address := pgtest.Start(t).Addr()
	db := openAdmin(t, address, "postgres")
	dir := t.TempDir()
	open := func() *copyNode {
		n := &copyNode{t: t, log: &lockedBuffer{}, cancel: func() {}}
		logger := slog.New(slog.NewTextHandler(n.log, nil))
		var err error
		if n.broker, err = broker.Open(testContext(t), broker.Config{Dir: dir, Logger: logger}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.stop)
		var last uint64
		if n.archive, last, err = openArchive(testContext(t), pgtest.URL(address, "postgres"), logger); err != nil {
			t.Fatal(err)
		}
		if n.entries, err = n.broker.OpenLog(testContext(t), broker.LogConfig{Name: "chat", PerTopic: 3, MaxAge: time.Hour, MaxBytes: 64 << 20,
			Duplicates: time.Minute, After: last}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := open()
	if err := n.archive.begin(testContext(t), n.entries); err != nil {
		t.Fatal(err)
	}
	first := n.post("quiet", 1)
	ctx, cancel := context.WithCancel(testContext(t))
	n.running.Go(func() { n.archive.run(ctx) })
	db.await(rowCount, 1)
	cancel()
	n.running.Wait()
	n.posted = 1
	n.post("busy", 5) // of which two are discarded
	n.stop()
	n = open() // each start is an epoch
	n.posted = 6
	n.post("busy", 4) // the three before, and one of these
	n.stop()
	n = open()
	conn, err := n.archive.connect(testContext(t))
	if err == nil {
		err = n.archive.begin(testContext(t), n.entries)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	c := &copier{archive: n.archive, conn: conn, last: first}
	_, end, err := n.entries.State(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	missing := func(before uint64) (found []gap) {
		t.Helper()
		err := pgx.BeginFunc(testContext(t), conn, func(tx pgx.Tx) (err error) {
			found, err = c.uncovered(testContext(t), tx, first, before)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for _, before := range []uint64{end + 1, end + 1000} { // the second lies in the epoch of this start, or before it
		var l lacking
		found := missing(before)
		l.add(found)
		if before == end+1 && (l.messages != 9 || l.gaps != 2) {
			t.Errorf("%d messages are missing in %d gaps: %v", l.messages, l.gaps, found)
		}
		if before > end+1 && l.messages != 9 {
			t.Errorf("up to a place between two epochs %d messages are missing: %v", l.messages, found)
		}
	}
}

// The answer of /readyz, which everybody can see, has no addresses, names or passwords.
func TestReadinessShowsNoSecrets(t *testing.T) {
	a := &archive{log: slog.New(slog.DiscardHandler), wanted: 1} // and late, or nothing would be said of the stream
	for _, err := range []error{
		fmt.Errorf("dial tcp 10.1.2.3:5432: secret"),
		&net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3)}, Err: errors.New("secret")},
		&pgconn.PgError{Code: "28P01", Message: "secret"},
		&pgconn.PgError{Code: "XX000", Message: "secret"},
		fmt.Errorf("%w: secret at 10.1.2.3", broker.ErrUnavailable),
		fmt.Errorf("%w: secret", errForeign),
	} {
		a.noteTurn(err)
		if got := a.ready().Error(); strings.Contains(got, "secret") || strings.Contains(got, "10.1.2.3") || len(got) < 20 {
			t.Errorf("%v: it says %s", err, got)
		}
	}
}
