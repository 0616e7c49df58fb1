package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"echows/bench/internal/cluster"
)

// stored is all that is kept of a room, oldest first.
type stored []message

// storedOn asks a node for all of its rooms.
func storedOn(p *person, n *node) (map[string]stored, error) {
	all := map[string]stored{}
	for _, room := range rooms {
		before := uint64(1 << 52)
		for {
			page, err := older(p, n, room, before)
			if err != nil {
				return nil, err
			}
			if len(page) == 0 {
				break
			}
			all[room] = slices.Concat(page, all[room])
			before = page[0].Seq
		}
	}
	return all, nil
}

func older(p *person, n *node, room string, before uint64) ([]message, error) {
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/chat/%s/messages?limit=200&before=%d", n.url, room, before), nil)
	if err != nil {
		return nil, err
	}
	body, err := p.do(req, http.StatusOK)
	if err != nil {
		return nil, err
	}
	var page struct{ Messages []message }
	err = json.Unmarshal(body, &page)
	return page.Messages, err
}

// compare reads what each node says is kept, until all say the same or time is over: a copy may be a moment behind. It
// returns what the first says, and how many messages another has not, or has otherwise.
func compare(s *stage, l *load) (kept map[string]stored, different int, err error) {
	end := time.Now().Add(cluster.Patience / 2)
	for try := 0; ; try++ {
		different = 0
		for i, n := range s.nodes {
			asker := &l.readers[try%len(l.readers)].person // another each time: reading is limited by address
			var got map[string]stored
			if got, err = storedOn(asker, n); err != nil {
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

// hasAcked reports whether all that was acknowledged is kept, as far as the last of each writer goes.
func hasAcked(kept map[string]stored, l *load) bool {
	for _, w := range l.writers {
		for _, p := range slices.Backward(w.posts) {
			if !p.acked.IsZero() {
				if !slices.Contains(kept[p.room], message{p.seq, p.id}) {
					return false
				}
				break
			}
		}
	}
	return true
}

// differences counts the messages that are in one and not in the other.
func differences(one, other map[string]stored) (n int) {
	for _, room := range rooms {
		in := map[message]int{}
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

// inTable reads the copy in PostgreSQL, once it has as many messages as are kept.
func inTable(url string, kept map[string]stored) (map[string]stored, error) {
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
		all := map[string]stored{}
		var seq int64
		var id, room string
		_, err = pgx.ForEachRow(rows, []any{&seq, &id, &room}, func() error {
			all[room] = append(all[room], message{uint64(seq), id})
			return nil
		})
		if err != nil || differences(all, kept) == 0 || time.Now().After(end) {
			return all, err
		}
	}
}
