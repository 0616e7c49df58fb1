package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"echows/broker"
)

const (
	mendChunk  = 100_000                // rows, at most, that one step checks
	mendTime   = 500 * time.Millisecond // for a few steps, before new messages are copied again
	mendPause  = time.Second            // in between
	mendRetry  = 10 * time.Second       // when the stream cannot be read
	mendExpire = 10 * time.Second       // deadline of a few steps
)

// gap is a range of sequences that the table lacks. It excludes the ranges between two epochs of the stream, where there
// never was a message, so that its length is a count of messages.
type gap struct{ first, last uint64 }

// add counts more gaps.
func (l *lacking) add(gaps []gap) {
	for _, g := range gaps {
		if l.gaps == 0 {
			l.first = g.first
		}
		l.first, l.last = min(l.first, g.first), max(l.last, g.last)
		l.gaps++
		l.messages += g.last - g.first + 1
	}
}

// readGaps counts the gaps noticed since a time.
func readGaps(ctx context.Context, conn *pgx.Conn, since time.Time) (l lacking, err error) {
	err = conn.QueryRow(ctx, `SELECT count(*), coalesce(sum(last - first + 1), 0)::bigint, coalesce(min(first), 0), coalesce(max(last), 0)
		FROM gaps WHERE noticed_at >= $1`, since).Scan(&l.gaps, &l.messages, &l.first, &l.last)
	if err != nil {
		return l, fmt.Errorf("gaps: %w", err)
	}
	return l, nil
}

// uncovered finds the ranges between two sequences (both exclusive) that the table knows nothing about.
func (c *copier) uncovered(ctx context.Context, tx pgx.Tx, after, before uint64) (found []gap, err error) {
	rows, err := tx.Query(ctx, `SELECT before + 1, first - 1 FROM (
			SELECT first, max(last) OVER (ORDER BY first, last ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM (
				SELECT $1::bigint AS first, $1::bigint AS last
				UNION ALL SELECT $2::bigint, $2::bigint
				UNION ALL SELECT seq, seq FROM messages WHERE seq > $1 AND seq < $2
				UNION ALL SELECT seq, seq FROM not_ours WHERE seq > $1 AND seq < $2
				UNION ALL SELECT first, last FROM gaps WHERE last > $1 AND first < $2
			) AS covered
		) AS pairs WHERE first > before + 1 ORDER BY first`, int64(after), int64(before))
	if err != nil {
		return nil, fmt.Errorf("gaps: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var g gap
		if err := rows.Scan(&g.first, &g.last); err != nil {
			return nil, fmt.Errorf("gaps: %w", err)
		}
		for _, r := range c.archive.source.Used(g.first-1, g.last+1) {
			found = append(found, gap{r.First, r.Last})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("gaps: %w", err)
	}
	return found, nil
}

// note adds gaps to the table gaps, as noticed at the given time; the zero time means now.
func note(ctx context.Context, tx pgx.Tx, gaps []gap, at time.Time) error {
	if len(gaps) == 0 {
		return nil
	}
	var firsts, lasts []int64
	for _, g := range gaps {
		firsts, lasts = append(firsts, int64(g.first)), append(lasts, int64(g.last))
	}
	var noticed *time.Time
	if !at.IsZero() {
		noticed = &at
	}
	if _, err := tx.Exec(ctx, `INSERT INTO gaps (first, last, noticed_at)
		SELECT n.first, n.last, coalesce($3::timestamptz, now()) FROM unnest($1::bigint[], $2::bigint[]) AS n (first, last)`, firsts, lasts, noticed); err != nil {
		return fmt.Errorf("gaps: %w", err)
	}
	return nil
}

// noteGaps notes what the table lacks between two sequences (both exclusive), and returns it.
func (c *copier) noteGaps(ctx context.Context, tx pgx.Tx, after, before uint64) ([]gap, error) {
	found, err := c.uncovered(ctx, tx, after, before)
	if err == nil {
		err = note(ctx, tx, found, time.Time{})
	}
	return found, err
}

// sayGaps logs the gaps found since its last call.
func (c *copier) sayGaps() {
	if c.lost.gaps == 0 {
		return
	}
	l := c.lost
	c.lost = lacking{}
	c.archive.log.Error("messages are missing in the database: the stream discarded or lost them before they were copied",
		"messages at most", l.messages, "from", l.first, "to", l.last, "gaps", l.gaps,
		"advice", "they cannot be recovered; the table gaps lists all of them. Keep the database from being down for so long, or keep more in the stream (-keep-messages, -keep-time, -keep-bytes)")
}

// mending is the progress of the search for copied rows that the table has lost, and of filling gaps from the stream.
type mending struct {
	scanned uint64    // rows up to here have been checked
	upTo    uint64    // rows up to here are to be checked
	first   uint64    // the first sequence of the stream
	filled  uint64    // gaps that begin up to here have been compared with the stream
	added   int       // messages filled in
	began   time.Time // by the database's clock
	next    time.Time // step
	done    bool
}

// beginMending logs the known gaps, and sets where the search for others begins.
func (c *copier) beginMending(ctx context.Context, end tableEnd, first uint64) error {
	ctx, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	known, err := readGaps(ctx, c.conn, time.Time{})
	if err != nil {
		return err
	}
	if known.gaps > 0 {
		c.archive.log.Warn("messages are missing in the database, as noticed before", "messages at most", known.messages,
			"from", known.first, "to", known.last, "gaps", known.gaps, "advice", "the table gaps lists all of them")
	}
	c.mending = mending{upTo: end.last, first: first}
	var lowest uint64 // rows below may be deleted by anybody
	if err := c.conn.QueryRow(ctx, `SELECT coalesce(min(seq), 0), now() FROM messages`).Scan(&lowest, &c.mending.began); err != nil {
		return fmt.Errorf("gaps: %w", err)
	}
	if lowest = min(lowest, first); lowest > 0 {
		c.mending.scanned = lowest - 1
	}
	return nil
}

// mend takes a few steps, and then returns so that new messages do not wait for long.
func (c *copier) mend(ctx context.Context) error {
	m := &c.mending
	if m.done || time.Now().Before(m.next) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, mendExpire)
	defer cancel()
	for began := time.Now(); !m.done && time.Since(began) < mendTime; {
		var err error
		if m.scanned < m.upTo {
			err = c.scan(ctx)
		} else {
			err = c.fill(ctx)
		}
		if errors.Is(err, broker.ErrUnavailable) { // try again later
			m.next = time.Now().Add(mendRetry)
			return nil
		}
		if err != nil {
			return err
		}
	}
	m.next = time.Now().Add(mendPause)
	if m.done {
		return c.sayMended(ctx)
	}
	return nil
}

// scan looks for missing rows in the next part of the table, and notes them as gaps.
func (c *copier) scan(ctx context.Context) error {
	m := &c.mending
	upTo := m.upTo
	err := c.conn.QueryRow(ctx, `SELECT seq FROM messages WHERE seq > $1 AND seq < $2 ORDER BY seq OFFSET $3 LIMIT 1`,
		int64(m.scanned), int64(m.upTo), c.archive.chunk-1).Scan(&upTo)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("gaps: %w", err)
	}
	err = pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) error {
		_, err := c.noteGaps(ctx, tx, m.scanned, upTo+1)
		return err
	})
	if err == nil {
		m.scanned = upTo
	}
	return err
}

// fill compares the next gap with the stream, and fills in the messages that the stream has.
func (c *copier) fill(ctx context.Context) error {
	m := &c.mending
	var g gap
	var noticed time.Time
	err := c.conn.QueryRow(ctx, `SELECT first, last, noticed_at FROM gaps WHERE first > $1 AND last >= $2 ORDER BY first LIMIT 1`,
		int64(m.filled), int64(m.first)).Scan(&g.first, &g.last, &noticed)
	if errors.Is(err, pgx.ErrNoRows) {
		m.done = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("gaps: %w", err)
	}
	entries, err := c.archive.source.Held(ctx, g.first-1, g.last+1)
	if err != nil {
		return err
	}
	m.filled = g.first
	if len(entries) == 0 {
		return nil
	}
	added := 0
	err = pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) error {
		if added, err = c.store(ctx, tx, entries); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM gaps WHERE first = $1`, int64(g.first)); err != nil {
			return fmt.Errorf("gaps: %w", err)
		}
		left, err := c.uncovered(ctx, tx, g.first-1, g.last+1)
		if err != nil {
			return err
		}
		return note(ctx, tx, left, noticed)
	})
	if err == nil {
		c.archive.copied.Add(uint64(added))
		m.added += added
		m.filled = entries[len(entries)-1].Seq // the rest of the gap begins there, or was not in the stream
	}
	return err
}

// sayMended logs what was filled in, and what is still missing.
func (c *copier) sayMended(ctx context.Context) error {
	m := &c.mending
	if m.added > 0 {
		c.archive.log.Warn("messages that were missing in the database were filled in from the stream", "messages", m.added)
	}
	left, err := readGaps(ctx, c.conn, m.began)
	if err != nil || left.gaps == 0 || left.first > m.upTo {
		return err
	}
	c.archive.log.Error("messages are missing in the database: rows were deleted, or a backup of it was restored, and the stream no longer has them",
		"messages at most", left.messages, "from", left.first, "to", left.last, "gaps", left.gaps,
		"advice", "they are in a backup of the database, if anywhere; the table gaps lists all of them")
	return nil
}
