package chat

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// older returns the last messages of a room below a sequence, oldest first.
func (a *archive) older(ctx context.Context, room string, before uint64, limit int) ([]Message, error) {
	messages, err := a.read(ctx, `SELECT seq, id, author, mark, text, posted_at FROM messages
		WHERE room = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3`, room, int64(before), limit)
	slices.Reverse(messages)
	return messages, err
}

// newer returns the first messages of a room between two sequences (both exclusive), oldest first.
func (a *archive) newer(ctx context.Context, room string, after, before uint64, limit int) ([]Message, error) {
	return a.read(ctx, `SELECT seq, id, author, mark, text, posted_at FROM messages
		WHERE room = $1 AND seq > $2 AND seq < $3 ORDER BY seq LIMIT $4`, room, int64(after), int64(before), limit)
}

func (a *archive) read(ctx context.Context, query string, args ...any) ([]Message, error) {
	ctx, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	rows, err := a.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	messages, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m Message, err error) {
		err = row.Scan(&m.Seq, &m.ID, &m.From, &m.Mark, &m.Text, &m.At)
		m.At = m.At.UTC()
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return messages, nil
}

// whole reports whether the table is known to have every message of all rooms between two sequences (both
// exclusive): everything was copied, and there is no gap.
func (a *archive) whole(ctx context.Context, after, before uint64) (bool, error) {
	if after+1 >= before {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	var first, last, gap uint64 // the table's first and last sequence, and the end of the last gap that begins below before
	err := a.pool.QueryRow(ctx, `SELECT
		coalesce(least((SELECT min(seq) FROM messages), (SELECT min(seq) FROM not_ours), (SELECT min(first) FROM gaps)), 0),
		coalesce(greatest((SELECT max(seq) FROM messages), (SELECT max(seq) FROM not_ours), (SELECT max(last) FROM gaps)), 0),
		coalesce((SELECT last FROM gaps WHERE first < $1 ORDER BY first DESC LIMIT 1), 0)`, int64(before)).Scan(&first, &last, &gap)
	if err != nil {
		return false, fmt.Errorf("read: %w", err)
	}
	switch {
	case last == 0: // an empty table has nothing to miss
		return a.source.Unused(after, before), nil
	case first > after+1 && !a.source.Unused(after, min(first, before)):
		return false, nil // the table begins later
	case last+1 < before && !a.source.Unused(max(last, after), before):
		return false, nil // the table ends earlier, so far
	}
	return gap <= after, nil
}
