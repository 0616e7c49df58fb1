package chat

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// migrations make the schema. Each is applied once, in this order. Every sequence that was copied is in messages,
// not_ours or gaps.
var migrations = []string{
	`CREATE TABLE IF NOT EXISTS messages (
		seq       bigint PRIMARY KEY, -- of the stream
		room      text NOT NULL,
		id        text NOT NULL,
		author    text NOT NULL,
		text      text NOT NULL,
		posted_at timestamptz NOT NULL
	)`,
	`CREATE INDEX IF NOT EXISTS messages_of_room ON messages (room, seq)`,
	`ALTER TABLE messages ADD COLUMN IF NOT EXISTS mark text NOT NULL DEFAULT ''`,
	`CREATE TABLE IF NOT EXISTS not_ours ( -- entries of the stream that are no messages
		seq bigint PRIMARY KEY
	)`,
	`CREATE TABLE IF NOT EXISTS gaps ( -- sequences, from first to last, of messages that are not in the table
		first      bigint PRIMARY KEY,
		last       bigint NOT NULL CHECK (last >= first),
		noticed_at timestamptz NOT NULL DEFAULT now()
	)`,
	// Before this version, sequences had no jumps.
	`INSERT INTO gaps (first, last)
		SELECT before + 1, seq - 1 FROM (SELECT seq, lag(seq, 1, 0::bigint) OVER (ORDER BY seq) AS before FROM messages) AS pairs
		WHERE seq > before + 1 ON CONFLICT DO NOTHING`,
}

// errNewer means that a later version of this program made the schema, so that nothing is copied.
var errNewer = errors.New("the database's schema is from a newer version of this program")

// migrate brings the schema up to date, one node at a time.
func migrate(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, archiveMigration)
	defer cancel()
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
			return errNewer
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
