package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"echows/bench/internal/cluster"
	"echows/bench/internal/people"
)

// compare reads what each node says is kept, until all agree or the time is over, since a replica may lag behind. It
// returns what the first node says, and by how many messages others differ.
func compare(s *stage, l *load) (kept map[string]people.Stored, different int, err error) {
	end := time.Now().Add(cluster.Patience / 2)
	for try := 0; ; try++ {
		different = 0
		for i, n := range s.nodes {
			asker := l.readers[try%len(l.readers)] // a different one each time: reading is limited by address
			var got map[string]people.Stored
			if got, err = asker.StoredOn(n.url, rooms); err != nil {
				break
			}
			if i == 0 {
				kept = got
			}
			different += differences(kept, got)
		}
		if err == nil && different == 0 && hasAcked(kept, l) || time.Now().After(end) {
			return kept, different, err
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// hasAcked reports whether each writer's last acknowledged post is kept.
func hasAcked(kept map[string]people.Stored, l *load) bool {
	for _, w := range l.writers {
		for _, p := range slices.Backward(w.Posts) {
			if !p.Acked.IsZero() {
				if !slices.Contains(kept[p.Room], people.Message{Seq: p.Seq, ID: p.ID}) {
					return false
				}
				break
			}
		}
	}
	return true
}

// differences counts the messages that are in one and not in the other.
func differences(one, other map[string]people.Stored) (n int) {
	for _, room := range rooms {
		in := map[people.Message]int{}
		for _, m := range one[room] {
			in[m]++
		}
		for _, m := range other[room] {
			in[m]--
		}
		for c := range maps.Values(in) {
			n += max(c, -c)
		}
	}
	return n
}

// inTable reads the copy in PostgreSQL, waiting until it has what is kept or the time is over.
func inTable(url string, kept map[string]people.Stored) (map[string]people.Stored, error) {
	ctx, cancel := context.WithTimeout(context.Background(), cluster.Patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	for end := time.Now().Add(cluster.Patience / 2); ; time.Sleep(200 * time.Millisecond) {
		rows, err := conn.Query(ctx, `SELECT seq, id, room FROM messages ORDER BY seq`)
		if err != nil {
			return nil, err
		}
		all := map[string]people.Stored{}
		var seq int64
		var id, room string
		_, err = pgx.ForEachRow(rows, []any{&seq, &id, &room}, func() error {
			all[room] = append(all[room], people.Message{Seq: uint64(seq), ID: id})
			return nil
		})
		if err != nil || differences(all, kept) == 0 || time.Now().After(end) {
			return all, err
		}
	}
}
