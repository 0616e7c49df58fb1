package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"echows/broker"
)

const (
	archiveTime      = 5 * time.Second         // for one statement, and for a connection
	archiveMigration = 2 * time.Minute         // for the schema: a table of millions of messages is read once
	archiveRetry     = time.Second             // before the next attempt, after a failure
	archiveAgain     = 3 * time.Second         // how often a turn that worked may be repeated without a pause
	archiveTurn      = 2 * time.Second         // before the next attempt at the lock, while another node copies
	archiveGoodbye   = 300 * time.Millisecond  // for closing a connection
	archiveLock      = int64(0x6563686f777301) // the advisory lock: the node that holds it copies
)

// sessionSettings make the database end the session, and release the lock, of a node that was stopped or cut off. Settings
// that a version of PostgreSQL does not know are left out.
var sessionSettings = [][2]string{
	{"idle_session_timeout", "15s"}, // a node that copies sends something every three seconds
	{"idle_in_transaction_session_timeout", "15s"},
	{"client_connection_check_interval", "5s"},
	{"lock_timeout", "5s"},
	{"tcp_keepalives_idle", "5"},
	{"tcp_keepalives_interval", "5"},
	{"tcp_keepalives_count", "2"},
	{"tcp_user_timeout", "15s"},
}

// archive is the copy of every message in PostgreSQL. One node at a time copies: the one that holds the lock.
type archive struct {
	config *pgx.ConnConfig
	pool   *pgxpool.Pool // for reading
	log    *slog.Logger
	chunk  int           // rows, at most, checked in one step of mending
	source *broker.Log   // set by begin
	copied atomic.Uint64 // messages added to the table

	mu     sync.Mutex
	turn   error     // why this node could not copy, or wait for its turn, when it last tried; or nil
	failed time.Time // when that was
	seen   error     // what was wrong when the table and the stream were last compared, or nil
	said   string    // which of these was logged last
	wanted uint64    // the table lacks something up to this sequence; or 0
	since  time.Time // when that began
	known  uint64    // the last sequence that the table accounted for at the last comparison
	looked bool      // there was a comparison
	lacks  lacking
}

// openArchive checks the URL, and also returns the last sequence that the table knows, or 0. It is not an error if the
// database is unavailable: the copy catches up.
func openArchive(ctx context.Context, url string, log *slog.Logger) (*archive, uint64, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, 0, fmt.Errorf("database (-database): %w", err)
	}
	config.ConnConfig.ConnectTimeout = archiveTime
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 2}}
	config.ConnConfig.DialFunc = dialer.DialContext
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(context.Background(), config) // connects when it is used
	if err != nil {
		return nil, 0, fmt.Errorf("database (-database): %w", err)
	}
	a := &archive{config: config.ConnConfig, pool: pool, log: log, chunk: mendChunk}
	last, err := a.lastArchived(ctx)
	if err != nil {
		a.noteTurn(err)
	}
	return a, last, nil
}

// lastArchived returns the last sequence that the table knows, or 0.
func (a *archive) lastArchived(ctx context.Context) (uint64, error) {
	conn, err := a.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer disconnect(conn)
	end, err := readEnd(ctx, conn)
	return end.known, err
}

// begin sets what the archive copies. It fails if the two do not belong together, as far as that can be seen now.
func (a *archive) begin(ctx context.Context, source *broker.Log) error {
	a.source = source
	if a.turn != nil {
		return nil // the database was unavailable a moment ago
	}
	conn, err := a.connect(ctx)
	if err == nil {
		defer disconnect(conn)
		ctx, cancel := context.WithTimeout(ctx, archiveTime)
		defer cancel()
		if err = a.compare(ctx, conn, new(tableEnd)); err == nil {
			err = a.sayLost(ctx, conn)
		}
	}
	if errors.Is(err, errForeign) {
		return fmt.Errorf("database (-database): %w", err)
	}
	a.noteTurn(err)
	return nil
}

// sayLost logs if the table has messages that the stream should have, too, but has not.
func (a *archive) sayLost(ctx context.Context, conn *pgx.Conn) error {
	end, err := readEnd(ctx, conn)
	if err != nil || end.last == 0 {
		return err
	}
	if _, held, err := a.source.At(ctx, end.last); err != nil || held {
		return err
	}
	first, _, err := a.source.State(ctx)
	if err != nil || first > end.last && a.source.Unused(end.known, first) {
		return err
	}
	a.log.Warn("the database has messages that the stream does not have; they are read from the database. "+
		"If the stream was lost, or restored from a backup, messages that were posted but not copied into the database are lost",
		"up to", end.last, "the stream begins at", first)
	return nil
}

// close closes the connections for reading. It waits only for a moment, as a database that does not answer would take
// longer. run and watch must have ended.
func (a *archive) close() {
	closed := make(chan struct{})
	go func() {
		a.pool.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(archiveGoodbye):
		a.log.Warn("connections to the database did not close in time")
	}
}

// connect returns a connection, and makes sure that the schema is up to date.
func (a *archive) connect(ctx context.Context) (*pgx.Conn, error) {
	connecting, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	conn, err := pgx.ConnectConfig(connecting, a.config)
	if err != nil {
		return nil, err
	}
	for _, setting := range sessionSettings {
		if _, err := conn.Exec(connecting, `SELECT set_config($1, $2, false)`, setting[0], setting[1]); err != nil && conn.IsClosed() {
			return nil, err
		}
	}
	if err := migrate(ctx, conn); err != nil {
		disconnect(conn)
		return nil, fmt.Errorf("schema: %w", err)
	}
	return conn, nil
}

// disconnect closes a connection, cleanly if the database answers soon.
func disconnect(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), archiveGoodbye)
	defer cancel()
	conn.Close(ctx)
}
