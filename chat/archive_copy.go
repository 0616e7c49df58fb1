package chat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"echows/broker"
)

// errNotStorable means that PostgreSQL does not accept an entry as a message.
var errNotStorable = errors.New("a field has a zero byte, or the room is invalid")

// run copies until ctx ends.
func (a *archive) run(ctx context.Context) {
	var again time.Time
	for ctx.Err() == nil {
		worked, err := a.takeTurn(ctx)
		if ctx.Err() != nil {
			return
		}
		if worked && time.Since(again) > archiveAgain { // an old connection may just end: a new one shows whether something is wrong
			again = time.Now()
			continue
		}
		a.noteTurn(err)
		select {
		case <-time.After(archiveRetry):
		case <-ctx.Done():
		}
	}
}

// takeTurn waits for the lock, and copies until something fails. It reports whether anything worked before that.
func (a *archive) takeTurn(ctx context.Context) (worked bool, err error) {
	conn, err := a.connect(ctx)
	if err != nil {
		return false, err
	}
	defer disconnect(conn) // which releases the lock
	checked := new(tableEnd)
	for {
		mine, err := a.tryLock(ctx, conn, checked)
		if err != nil {
			return worked, err
		}
		if mine {
			break
		}
		worked = true
		select {
		case <-time.After(archiveTurn):
		case <-ctx.Done():
			return worked, ctx.Err()
		}
	}
	end, err := readEnd(ctx, conn) // again: another node may have copied up to now
	if err != nil {
		return worked, err
	}
	c := &copier{archive: a, conn: conn, last: end.last}
	defer c.sayGaps()
	if err := c.begin(ctx, end); err != nil {
		return worked, err
	}
	err = a.source.Copy(ctx, end.last, func(batch []broker.Entry) error {
		err := c.keep(ctx, batch)
		worked = worked || err == nil
		return err
	})
	return worked, err
}

// tryLock takes the lock, unless another node holds it, or this one cannot read the stream.
func (a *archive) tryLock(ctx context.Context, conn *pgx.Conn, checked *tableEnd) (mine bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	if err := a.compare(ctx, conn, checked); err != nil {
		return false, err
	}
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, archiveLock).Scan(&mine); err != nil {
		return false, fmt.Errorf("lock: %w", err)
	}
	return mine, nil
}

// copier is one turn of this node. Only the goroutine that copies uses its fields.
type copier struct {
	archive *archive
	conn    *pgx.Conn
	last    uint64  // the last sequence received
	lost    lacking // gaps that were found but not logged yet
	mending mending
}

// begin notes what the stream discarded before it was copied, as far as that is known before the first entry comes.
func (c *copier) begin(ctx context.Context, end tableEnd) error {
	a := c.archive
	first, _, err := a.source.State(ctx)
	if err != nil {
		return err
	}
	if err := c.beginMending(ctx, end, first); err != nil {
		return err
	}
	if first <= end.last+1 || a.source.Unused(end.last, first) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	var lost []gap
	err = pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) (err error) {
		lost, err = c.noteGaps(ctx, tx, end.last, first)
		return err
	})
	if err == nil {
		c.lost.add(lost)
	}
	return err
}

// keep adds a batch, if there is one, and then fills in some of what was missing before.
func (c *copier) keep(ctx context.Context, batch []broker.Entry) error {
	err := c.insert(ctx, batch)
	if err != nil {
		return err
	}
	if len(batch) < archiveBatch {
		c.sayGaps()
	}
	c.archive.noteTurn(nil)
	return c.mend(ctx)
}

// archiveBatch is how many entries, at most, broker.Log.Copy hands over at a time.
const archiveBatch = 500

// insert adds a whole batch, with the gaps before its entries, or nothing.
func (c *copier) insert(ctx context.Context, batch []broker.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	if len(batch) == 0 { // tells the database that this node is alive
		return c.conn.Ping(ctx)
	}
	end := batch[len(batch)-1].Seq
	jumps := false
	for i, last := 0, c.last; i < len(batch); i++ {
		jumps = jumps || !c.archive.source.Unused(last, batch[i].Seq)
		last = batch[i].Seq
	}
	var lost []gap
	added := 0
	err := pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) (err error) {
		added, err = c.store(ctx, tx, batch)
		if err == nil && jumps {
			lost, err = c.noteGaps(ctx, tx, c.last, end+1)
		}
		return err
	})
	if err == nil {
		c.archive.copied.Add(uint64(added))
		c.last = end
		c.lost.add(lost)
	}
	return err
}

// store adds entries, and returns how many messages the table did not have. Those that it has must be identical.
func (c *copier) store(ctx context.Context, tx pgx.Tx, batch []broker.Entry) (added int, err error) {
	var seqs, others []int64
	var rooms, ids, authors, marks, texts []string
	var times []time.Time
	for _, e := range batch {
		m, err := decodeArchived(e)
		if err != nil {
			others = append(others, int64(e.Seq))
			continue
		}
		seqs, rooms, ids = append(seqs, int64(e.Seq)), append(rooms, e.Topic), append(ids, m.ID)
		authors, marks, texts, times = append(authors, m.From), append(marks, m.Mark), append(texts, m.Text), append(times, m.At)
	}
	if len(others) > 0 {
		done, err := tx.Exec(ctx, `INSERT INTO not_ours (seq) SELECT * FROM unnest($1::bigint[]) ON CONFLICT DO NOTHING`, others)
		if err != nil {
			return 0, fmt.Errorf("insert: %w", err)
		}
		if n := done.RowsAffected(); n > 0 {
			c.archive.log.Error("stored entries are not chat messages, and were not copied into the database", "messages", n, "from", others[0], "to", others[len(others)-1])
		}
	}
	done, err := tx.Exec(ctx, `INSERT INTO messages (seq, room, id, author, mark, text, posted_at)
		SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
		ON CONFLICT (seq) DO NOTHING`, seqs, rooms, ids, authors, marks, texts, times)
	if err != nil {
		return 0, fmt.Errorf("insert: %w", err)
	}
	if added = int(done.RowsAffected()); added == len(seqs) {
		return added, nil
	}
	var same int
	err = tx.QueryRow(ctx, `SELECT count(*) FROM messages m
		JOIN unnest($1::bigint[], $2::text[], $3::text[]) AS n (seq, room, id) USING (seq, room, id)`, seqs, rooms, ids).Scan(&same)
	if err != nil {
		return 0, fmt.Errorf("compare: %w", err)
	}
	if same != len(seqs) {
		return 0, fmt.Errorf("%w: between sequence %d and %d they differ", errForeign, seqs[0], seqs[len(seqs)-1])
	}
	return added, nil
}

// decodeArchived decodes a stored message for the table.
func decodeArchived(e broker.Entry) (Message, error) {
	m, err := decodeStored(e)
	if err == nil && (!broker.ValidTopic(e.Topic) || strings.Contains(m.From+m.Mark, "\x00")) { // PostgreSQL would refuse it again and again
		err = errNotStorable
	}
	m.At = m.At.Truncate(time.Microsecond)
	return m, err
}
