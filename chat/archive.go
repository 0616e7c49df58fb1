package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"echows/broker"
)

const (
	archiveTime    = 5 * time.Second         // for one statement, and for a connection
	archiveReady   = time.Second             // for ready
	archiveRetry   = time.Second             // before the next try, when the database is away
	archiveTurn    = 2 * time.Second         // before the next look, when another node copies
	archiveGoodbye = 300 * time.Millisecond  // for the end of a connection
	archiveLock    = int64(0x6563686f777301) // the advisory lock: who has it copies
)

// migrations make the schema, each once and in this order.
var migrations = []string{
	`CREATE TABLE messages (
		seq       bigint PRIMARY KEY, -- of the stream
		room      text NOT NULL,
		id        text NOT NULL,
		author    text NOT NULL,
		text      text NOT NULL,
		posted_at timestamptz NOT NULL
	)`,
	`CREATE INDEX messages_of_room ON messages (room, seq)`,
}

// errBehind is why nothing is copied while the stream and the table do not belong together: sequences
// would be used twice, for different messages.
var errBehind = errors.New("the stream and the table messages do not belong together")

// archive is the copy of every message in PostgreSQL. One node at a time copies: who has the lock.
type archive struct {
	config *pgx.ConnConfig
	pool   *pgxpool.Pool // for reading
	log    *slog.Logger
	source *broker.Log

	mu  sync.Mutex
	err error // why nothing is copied at the moment, or nil
}

// openArchive checks the URL and, where the database can be reached, that stream and table belong
// together. A database that is away is no error: the copy catches up.
func openArchive(ctx context.Context, url string, source *broker.Log, log *slog.Logger) (*archive, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database (-database): %w", err)
	}
	config.ConnConfig.ConnectTimeout = archiveTime
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(context.Background(), config) // connects when it is used
	if err != nil {
		return nil, fmt.Errorf("database (-database): %w", err)
	}
	a := &archive{config: config.ConnConfig, pool: pool, log: log, source: source}
	ctx, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, a.config)
	if err == nil {
		_, err = a.prepare(ctx, conn)
		disconnect(conn)
	}
	if errors.Is(err, errBehind) {
		pool.Close()
		return nil, err
	}
	if err != nil {
		a.failed(err)
	}
	return a, nil
}

// close ends the connections for reading, and waits for a moment; run has ended by then. A database that
// does not answer would have it wait for longer.
func (a *archive) close() {
	closed := make(chan struct{})
	go func() {
		a.pool.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(archiveGoodbye):
		a.log.Warn("the database does not let go of its connections")
	}
}

// disconnect says goodbye, if the database listens.
func disconnect(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), archiveGoodbye)
	defer cancel()
	conn.Close(ctx)
}

// failed notes why nothing is copied, and says so once.
func (a *archive) failed(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil && err != nil {
		a.log.Error("messages are not copied into the database", "error", err)
	}
	if a.err != nil && err == nil {
		a.log.Info("messages are copied into the database again")
	}
	a.err = err
}

// ready says why the database is not of use, or nil.
func (a *archive) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, archiveReady)
	defer cancel()
	if err := a.pool.Ping(ctx); err != nil {
		return errors.New("database: it cannot be reached") // err has addresses, and goes into the log
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if errors.Is(a.err, errBehind) {
		return fmt.Errorf("database: %w", errBehind)
	}
	if a.err != nil { // which may have names and addresses, and is in the log
		return errors.New("database: messages are not copied at the moment")
	}
	return nil
}

// run copies until ctx ends.
func (a *archive) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := archiveTurn
		if err := a.copy(ctx); err != nil && ctx.Err() == nil {
			a.failed(err)
			wait = archiveRetry
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// copy takes the lock and copies until something fails. It returns nil where another node has the lock.
func (a *archive) copy(ctx context.Context) error {
	connecting, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	conn, err := pgx.ConnectConfig(connecting, a.config)
	if err != nil {
		return err
	}
	defer disconnect(conn) // which gives the lock back
	var mine bool
	if err := conn.QueryRow(connecting, `SELECT pg_try_advisory_lock($1)`, archiveLock).Scan(&mine); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if !mine {
		a.failed(nil)
		return nil
	}
	last, err := a.prepare(connecting, conn)
	if err != nil {
		return err
	}
	a.failed(nil)
	return a.source.Copy(ctx, last, func(batch []broker.Entry) error { return a.insert(ctx, conn, batch) })
}

// prepare makes the schema and returns the sequence of the last message in the table, which must be the
// same message in the stream.
func (a *archive) prepare(ctx context.Context, conn *pgx.Conn) (last uint64, err error) {
	if err := migrate(ctx, conn); err != nil {
		return 0, fmt.Errorf("schema: %w", err)
	}
	var id, room string
	err = conn.QueryRow(ctx, `SELECT seq, id, room FROM messages ORDER BY seq DESC LIMIT 1`).Scan(&last, &id, &room)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("last message: %w", err)
	}
	first, end, err := a.source.State(ctx)
	if err != nil {
		return 0, err
	}
	if end < last {
		return 0, fmt.Errorf("%w: the stream ends at sequence %d, the table at %d, so messages were lost; restore the data folder, or give another database", errBehind, end, last)
	}
	e, held, err := a.source.At(ctx, last)
	if err != nil {
		return 0, err
	}
	if held {
		if m, err := decodeStored(e); err != nil || m.ID != id || e.Topic != room {
			return 0, fmt.Errorf("%w: sequence %d is another message in each; restore the data folder, or give another database", errBehind, last)
		}
	}
	if first > last+1 {
		a.log.Error("messages were discarded before they were copied: the database was away for too long", "from", last+1, "to", first-1)
	}
	return last, nil
}

// migrate brings the schema up to date, one node at a time.
func migrate(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, archiveLock+1); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS echows_schema (version int PRIMARY KEY)`); err != nil {
			return err
		}
		var version int
		if err := tx.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM echows_schema`).Scan(&version); err != nil {
			return err
		}
		if version > len(migrations) {
			return fmt.Errorf("the database is of a newer version of this program")
		}
		for i, statement := range migrations[version:] {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO echows_schema VALUES ($1)`, version+i+1); err != nil {
				return err
			}
		}
		return nil
	})
}

// insert adds a batch: all of it, or nothing. What is there already has to be the same.
func (a *archive) insert(ctx context.Context, conn *pgx.Conn, batch []broker.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	var seqs []int64
	var rooms, ids, authors, texts []string
	var times []time.Time
	for _, e := range batch {
		m, err := decodeStored(e)
		if err != nil {
			a.log.Error("a stored message is none of ours, and not copied", "room", e.Topic, "seq", e.Seq, "error", err)
			continue
		}
		seqs, rooms, ids = append(seqs, int64(e.Seq)), append(rooms, e.Topic), append(ids, m.ID)
		authors, texts, times = append(authors, m.From), append(texts, m.Text), append(times, m.At)
	}
	done, err := conn.Exec(ctx, `INSERT INTO messages (seq, room, id, author, text, posted_at)
		SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
		ON CONFLICT (seq) DO NOTHING`, seqs, rooms, ids, authors, texts, times)
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	if int(done.RowsAffected()) == len(seqs) {
		return nil
	}
	var same int
	err = conn.QueryRow(ctx, `SELECT count(*) FROM messages m
		JOIN unnest($1::bigint[], $2::text[], $3::text[]) AS n (seq, room, id) USING (seq, room, id)`, seqs, rooms, ids).Scan(&same)
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	if same != len(seqs) {
		return fmt.Errorf("%w: between sequence %d and %d they differ", errBehind, seqs[0], seqs[len(seqs)-1])
	}
	return nil
}

// older returns the last messages of a room below a sequence, oldest first.
func (a *archive) older(ctx context.Context, room string, before uint64, limit int) ([]Message, error) {
	ctx, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	rows, err := a.pool.Query(ctx, `SELECT seq, id, author, text, posted_at FROM messages
		WHERE room = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3`, room, int64(before), limit)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	messages, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m Message, err error) {
		err = row.Scan(&m.Seq, &m.ID, &m.From, &m.Text, &m.At)
		m.At = m.At.UTC()
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	slices.Reverse(messages)
	return messages, nil
}

// newer returns the first messages of a room between two sequences, oldest first.
func (a *archive) newer(ctx context.Context, room string, after, before uint64, limit int) ([]Message, error) {
	return nil, nil
}

func (a *archive) whole(ctx context.Context, after, before uint64) (bool, error) { return false, nil }
