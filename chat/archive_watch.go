package chat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"echows/broker"
)

const (
	watchEvery   = 2 * time.Second     // between two comparisons of the table with the stream
	watchTime    = 2 * time.Second     // for one of them
	archiveLate  = 15 * time.Second    // how long the table may be behind
	archiveQuiet = 5 * time.Second / 2 // after this long without a failure, and with everything copied, a failure is over
)

// errForeign means that the stream and the table do not belong together, so that nothing is copied.
var errForeign = errors.New("the stream and the table messages do not belong together")

// errBelow means that the stream would assign sequences that the table already has, so that nothing is copied.
var errBelow = errors.New("the stream ends before the table does")

// errLate means that messages are not copied in time.
var errLate = errors.New("messages are waiting to be copied")

// ArchiveStats is the state of the copy in the database.
type ArchiveStats struct {
	Gaps    int           // ranges of sequences whose messages are missing in the table
	Missing uint64        // how many messages, at most
	Behind  time.Duration // how long something has been waiting to be copied
	Copied  uint64        // messages that this node has added to the table
	Up      bool          // the database takes messages, as far as this node knows
	Known   bool          // the table has been compared; before that, the rest is zero
}

// lacking is what the table lacks.
type lacking struct {
	gaps        int
	messages    uint64 // at most
	first, last uint64 // sequences
}

// stats returns the state, as far as this node knows it.
func (a *archive) stats() ArchiveStats {
	a.mu.Lock()
	defer a.mu.Unlock()
	trouble := a.troubleLocked()
	return ArchiveStats{
		Gaps:    a.lacks.gaps,
		Missing: a.lacks.messages,
		Behind:  a.behindLocked(),
		Copied:  a.copied.Load(),
		Known:   a.looked,
		Up:      trouble == nil || errors.Is(trouble, broker.ErrUnavailable), // that is the stream's trouble
	}
}

func (a *archive) behindLocked() time.Duration {
	if a.wanted == 0 {
		return 0
	}
	return time.Since(a.since)
}

// watch compares the table with the stream every two seconds, on every node, until ctx ends.
func (a *archive) watch(ctx context.Context) {
	w := &watcher{archive: a}
	defer w.disconnect()
	for ctx.Err() == nil {
		connected := w.conn != nil
		err := w.look(ctx)
		if err != nil && connected && !errors.Is(err, context.DeadlineExceeded) { // an old connection may have ended long ago
			err = w.look(ctx)
		}
		if err != nil {
			a.noteWaiting(ctx)
		}
		if ctx.Err() == nil {
			a.noteSeen(err)
		}
		select {
		case <-time.After(watchEvery):
		case <-ctx.Done():
		}
	}
}

// noteWaiting notes since when something has been waiting to be copied, while the table cannot be read: anything in the
// stream newer than what the table had.
func (a *archive) noteWaiting(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, watchTime)
	defer cancel()
	newest, err := a.source.Last(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil && a.looked && a.wanted == 0 && newest > a.known {
		a.wanted, a.since = newest, time.Now()
	}
}

// watcher is watch's state. It has a connection of its own, so that it does not wait for readers.
type watcher struct {
	archive *archive
	conn    *pgx.Conn // nil while there is none
	checked tableEnd
}

// look compares once. It connects if there is no connection, and disconnects when it fails.
func (w *watcher) look(ctx context.Context) (err error) {
	if w.conn == nil {
		w.checked = tableEnd{}
		if w.conn, err = w.archive.connect(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, watchTime)
	defer cancel()
	if err = w.archive.compare(ctx, w.conn, &w.checked); err == nil {
		err = w.archive.countGaps(ctx, w.conn)
	}
	if err == nil {
		w.archive.noteLook()
	}
	if err != nil {
		w.disconnect()
	}
	return err
}

// noteLook notes that the table has been compared.
func (a *archive) noteLook() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looked = true
}

func (w *watcher) disconnect() {
	if w.conn != nil {
		disconnect(w.conn)
		w.conn = nil
	}
}

// tableEnd is how far a table goes.
type tableEnd struct {
	last             uint64 // message's sequence, or 0
	id, room, author string
	at               time.Time
	known            uint64 // last sequence accounted for: a message, another entry, or a gap
}

func readEnd(ctx context.Context, conn *pgx.Conn) (end tableEnd, err error) {
	ctx, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	err = conn.QueryRow(ctx, `SELECT coalesce(seq, 0), coalesce(id, ''), coalesce(room, ''), coalesce(author, ''), coalesce(posted_at, 'epoch'),
			greatest(seq, (SELECT max(seq) FROM not_ours), (SELECT max(last) FROM gaps), 0)
		FROM (SELECT 1) AS one LEFT JOIN (SELECT seq, id, room, author, posted_at FROM messages ORDER BY seq DESC LIMIT 1) AS newest ON true`).
		Scan(&end.last, &end.id, &end.room, &end.author, &end.at, &end.known)
	if err != nil {
		return end, fmt.Errorf("last message: %w", err)
	}
	return end, nil
}

// compare checks whether the table belongs to the stream, and notes how far the table is. checked is the end that was last
// found to belong to the stream.
func (a *archive) compare(ctx context.Context, conn *pgx.Conn, checked *tableEnd) error {
	end, err := readEnd(ctx, conn) // first: the stream may only be ahead
	if err != nil {
		return err
	}
	newest, err := a.source.Last(ctx)
	if err != nil {
		return err
	}
	if end.last > 0 && end != *checked {
		if err := a.belongs(ctx, conn, end); err != nil {
			return err
		}
		*checked = end
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known = end.known
	if end.known >= a.wanted {
		a.wanted = 0
	}
	if a.wanted == 0 && newest > end.known {
		a.wanted, a.since = newest, time.Now()
	}
	return nil
}

// belongs looks for a sequence that both have. If there is one, it must be the same message in both.
func (a *archive) belongs(ctx context.Context, conn *pgx.Conn, end tableEnd) error {
	first, last, err := a.source.State(ctx)
	if err != nil {
		return err
	}
	e, held, err := a.source.At(ctx, end.last)
	if err != nil {
		return err
	}
	if !held && first <= end.last { // any older message will do
		if e, held, err = a.source.At(ctx, first); err != nil {
			return err
		}
		if held {
			err = conn.QueryRow(ctx, `SELECT seq, id, room, author, posted_at FROM messages WHERE seq = $1`, int64(first)).
				Scan(&end.last, &end.id, &end.room, &end.author, &end.at)
			if errors.Is(err, pgx.ErrNoRows) {
				held, err = false, nil
			}
			if err != nil {
				return fmt.Errorf("a message: %w", err)
			}
		}
	}
	if held {
		m, err := decodeArchived(e)
		if err != nil || m.ID != end.id || e.Topic != end.room || m.From != end.author || !m.At.Equal(end.at) {
			return fmt.Errorf("%w: sequence %d is a different message in each", errForeign, e.Seq)
		}
	}
	if last < end.known {
		return fmt.Errorf("%w: at sequence %d, and the table at %d", errBelow, last, end.known)
	}
	return nil
}

// countGaps counts what the table lacks.
func (a *archive) countGaps(ctx context.Context, conn *pgx.Conn) error {
	lacks, err := readGaps(ctx, conn, time.Time{})
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.lacks = lacks
	}
	return err
}

// ready returns what is wrong with the copy, or nil. It does not wait.
func (a *archive) ready() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.troubleLocked()
	if err == nil {
		return nil
	}
	what, _ := explain(err) // err itself may have names and addresses, and is in the log
	if errors.Is(err, broker.ErrUnavailable) {
		if a.behindLocked() <= archiveLate {
			return nil // the broker's Ready says whether posts are taken; a copy that waits for a leader is no reason to turn people away
		}
		return errors.New("copy into the database: " + what)
	}
	if errors.Is(err, errLate) {
		what = fmt.Sprintf("messages have been waiting to be copied for %d s", int(a.behindLocked().Seconds()))
	}
	return errors.New("database: " + what)
}

// troubleLocked returns what is wrong now, or nil.
func (a *archive) troubleLocked() error {
	switch {
	case a.turn != nil:
		return a.turn
	case a.seen != nil:
		return a.seen
	case a.behindLocked() > archiveLate:
		return errLate
	}
	return nil
}

// noteTurn notes why this node's turn to copy failed, or nil.
func (a *archive) noteTurn(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.turn = err; err != nil {
		a.failed = time.Now()
	}
	a.sayLocked()
}

// noteSeen notes the result of a comparison. If another node copies, a good result also means that this node's own
// failure is over.
func (a *archive) noteSeen(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = err
	if err == nil && a.wanted == 0 && time.Since(a.failed) > archiveQuiet {
		a.turn = nil
	}
	a.sayLocked()
}

// sayLocked logs what is wrong, once, and again when it changes.
func (a *archive) sayLocked() {
	err := a.troubleLocked()
	if err == nil {
		if a.said != "" {
			a.log.Info("messages are copied into the database again")
		}
		a.said = ""
		return
	}
	what, advice := explain(err)
	if what == a.said {
		return
	}
	a.said = what
	a.log.Error("messages are not copied into the database", "reason", what, "affected",
		"messages stay in the stream until its limits discard them (-keep-messages, -keep-time, -keep-bytes); older ones may not be shown",
		"advice", advice, "error", err)
}

// explain returns what is wrong with the database, without names and addresses, and what to do.
func explain(err error) (what, advice string) {
	var refused *pgconn.PgError
	const byItself = "; copying then resumes by itself"
	switch {
	case errors.Is(err, errForeign):
		return "it belongs to another chat: the same sequence is a different message in each", "use another database (-database), or restore the data folder, and restart"
	case errors.Is(err, errBelow):
		return "it has sequences that the stream is going to use for other messages", "restart this node while the database can be reached: the stream then continues above them"
	case errors.Is(err, errNewer):
		return "its schema is from a newer version of this program", "update this node, or use another database (-database)"
	case errors.Is(err, errLate):
		return "the copy is behind: messages are waiting", "check what the other nodes log, and whether the database is slow" + byItself
	case errors.Is(err, broker.ErrUnavailable):
		return "the stream cannot be read", "find out what is wrong with NATS" + byItself
	case errors.As(err, &refused):
		what, advice = explainCode(refused.Code)
		return what, advice + byItself
	}
	return "it cannot be reached, or does not answer", "start it, or fix the network or the address (-database)" + byItself
}

// explainCode is explain for an error code of PostgreSQL (appendix A of its manual).
func explainCode(code string) (what, advice string) {
	switch {
	case code == "53100":
		return "its disk is full", "make room on the database's disk"
	case strings.HasPrefix(code, "53"):
		return "it has run out of connections or memory", "raise its limits (max_connections), or stop the programs that use up its resources"
	case code == "25006":
		return "it is read-only", "use the address of the primary (-database), or make it writable"
	case code == "42P01", code == "42703", code == "3F000":
		return "a table or a column of it is missing", "restore it from a backup; or drop the table echows_schema: it is then created again and filled from the stream"
	case code == "28P01", code == "28000":
		return "it refuses this program's user or password", "correct the user or the password (-database), or pg_hba.conf"
	case code == "3D000":
		return "there is no database with this name", "create it, or correct the name (-database)"
	case code == "42501":
		return "this program's user lacks privileges", "grant its user CREATE on the schema, and all privileges on the tables"
	case strings.HasPrefix(code, "57P"):
		return "it is starting, or being stopped", "wait, or start it"
	case code == "55P03", code == "57014":
		return "the table is locked", "see pg_locks, and end the transaction that holds the lock"
	}
	return "it refuses what is copied (SQLSTATE " + code + ")", "see the error, and what the database logs"
}
