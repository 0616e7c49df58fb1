package broker

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// epoch is a part of a stream. When a folder is lost, or restored from a copy, NATS assigns some sequences a second time.
// So a Log shows NATS' sequences plus a number that grows with each epoch, and shows no sequence for two messages. An
// epoch begins with the stream, with each start of the embedded server, which cannot know whether its folder is a copy,
// and in a cluster when the stream turns out to have lost its end.
type epoch struct {
	From uint64 `json:"from"`           // NATS' sequence of its first message
	Add  uint64 `json:"add"`            // to each of NATS' sequences
	Lost bool   `json:"lost,omitempty"` // messages that were stored before it are known to be lost
}

// epochs holds a stream's epochs, in order, as the stream's configuration keeps them. No epochs are like one that adds
// nothing.
type epochs []epoch

// mostEpochs bounds what is kept with a stream. When it has this many, the last one goes on.
const mostEpochs = 1000

// seq returns the sequence to show for one of NATS'.
func (es epochs) seq(raw uint64) uint64 {
	for _, e := range slices.Backward(es) {
		if raw >= e.From {
			return raw + e.Add
		}
	}
	return raw
}

// floor returns NATS' sequence of the last message whose shown sequence is at most seq, and whether that is seq itself.
func (es epochs) floor(seq uint64) (raw uint64, exact bool) {
	if len(es) == 0 {
		return seq, true
	}
	for i, e := range slices.Backward(es) {
		if seq < e.From+e.Add {
			continue
		}
		raw = seq - e.Add
		if i+1 < len(es) && raw >= es[i+1].From { // shown for no message: another epoch began
			return es[i+1].From - 1, false
		}
		return raw, true
	}
	return es[0].From - 1, false
}

// first returns NATS' sequence of the first message that the stream ever had.
func (es epochs) first() uint64 {
	if len(es) == 0 {
		return 1
	}
	return es[0].From
}

// begin adds an epoch after NATS' last sequence that shows sequences from least on.
func (es epochs) begin(last, least uint64, lost bool) epochs {
	es = slices.Clone(es)
	if len(es) == 0 {
		es = epochs{{From: 1}}
	}
	if n := len(es); n > 1 && es[n-1].From > last { // nothing was stored in it
		lost = lost || es[n-1].Lost
		es = es[:n-1]
	}
	if len(es) >= mostEpochs && !lost {
		return es
	}
	least = max(least, es.seq(last)+1)
	return append(es, epoch{From: last + 1, Add: least - last - 1, Lost: lost})
}

// trim drops the epochs of which nothing is left in the stream, whose oldest message is first. It keeps the first epoch.
func (es epochs) trim(first uint64) epochs {
	for len(es) > 2 && es[2].From <= first {
		es = slices.Delete(slices.Clone(es), 1, 2)
	}
	return es
}

// newer returns the list with the newest epoch. Shown sequences rise from epoch to epoch, and an epoch that has begun is
// never taken back: of two lists, the one whose last epoch shows higher sequences is newer.
func (es epochs) newer(other epochs) epochs {
	if len(es) > 0 && (len(other) == 0 || es.begins() > other.begins()) {
		return es
	}
	return other
}

// begins returns the first sequence that the last epoch shows.
func (es epochs) begins() uint64 {
	last := es[len(es)-1]
	return last.From + last.Add
}

// lostAfter reports whether messages are known to be lost somewhere after one of NATS' sequences.
func (es epochs) lostAfter(raw uint64) bool {
	return slices.ContainsFunc(es, func(e epoch) bool { return e.Lost && e.From > raw })
}

// The keys of a stream's metadata.
const (
	epochsKey = "echows-epochs"
	leastKey  = "echows-least-per-topic" // the lowest LogConfig.PerTopic that the stream ever had
)

// epochsOf reads the epochs of a stream. A stream from an old version of this program has none.
func epochsOf(c jetstream.StreamConfig) (epochs, error) {
	text := c.Metadata[epochsKey]
	if text == "" {
		return nil, nil
	}
	var es epochs
	if err := json.Unmarshal([]byte(text), &es); err != nil {
		return nil, fmt.Errorf("the stream %s has metadata that this program cannot read: %w", c.Name, err)
	}
	return es, nil
}

// String returns what a stream's metadata holds.
func (es epochs) String() string {
	data, _ := json.Marshal(es) // numbers only: it does not fail
	return string(data)
}

// epochStart returns where an epoch's sequences begin: the microseconds since 1970. So they are above all that were shown
// before, unless more than a million messages a second were stored, and below 2⁵³, JavaScript's limit, for 200 years.
func epochStart() uint64 { return uint64(time.Now().UnixMicro()) }

// Unused reports whether no message ever had a sequence between the two, both exclusive, because another epoch of the
// stream began there. It is false if this stream never assigned after: then that was another stream's, or what
// followed it is lost.
func (l *Log) Unused(after, before uint64) bool {
	if before <= after+1 {
		return true
	}
	es := l.epochs()
	from, exact := es.floor(after)
	to, _ := es.floor(before - 1)
	return from == to && (exact || after == 0)
}

// Range is a range of sequences, first and last included.
type Range struct{ First, Last uint64 }

// Used returns the sequences between the two, both exclusive, that messages may have had: those that this stream could
// have assigned. If it never assigned after, another stream may have; then the sequences up to this stream's next epoch
// count, too. The result is empty if Unused is true.
func (l *Log) Used(after, before uint64) []Range { return l.epochs().used(after, before) }

func (es epochs) used(after, before uint64) (all []Range) {
	add := func(first, last uint64) {
		first, last = max(first, after+1), min(last, before-1)
		switch n := len(all); {
		case first > last:
		case n > 0 && all[n-1].Last+1 == first:
			all[n-1].Last = last
		default:
			all = append(all, Range{first, last})
		}
	}
	if before == 0 {
		return nil
	}
	if len(es) == 0 {
		add(1, before)
		return all
	}
	if raw, exact := es.floor(after); !exact && after > 0 {
		add(after+1, es.seq(raw+1)-1)
	}
	for i, e := range es {
		last := before
		if i+1 < len(es) {
			last = es[i+1].From - 1 + e.Add
		}
		add(e.From+e.Add, last)
	}
	return all
}

// Sure reports whether a sequence was a message's, of any topic, and no message after it is known to be lost. 0 comes
// before the first message.
func (l *Log) Sure(seq uint64) bool {
	es := l.epochs()
	raw, exact := es.floor(seq)
	return (exact && seq <= l.highestSeen() || seq == 0) && !es.lostAfter(raw)
}

// Begins reports whether an epoch begins after the first sequence and not after the second. Then a copy of the stream may
// have messages between them that the stream has lost.
func (l *Log) Begins(after, upTo uint64) bool {
	return slices.ContainsFunc(l.epochs(), func(e epoch) bool { return after < e.From+e.Add && e.From+e.Add <= upTo })
}

// Start returns the lowest sequence that a message of this stream can have had.
func (l *Log) Start() uint64 { return l.epochs().seq(l.epochs().first()) }

func (l *Log) epochs() epochs {
	if es := l.known.Load(); es != nil {
		return *es
	}
	return nil
}

// shown replaces NATS' sequences of entries with those to show.
func (l *Log) shown(entries []Entry) []Entry {
	es := l.epochs()
	for i := range entries {
		entries[i].Seq = es.seq(entries[i].Seq)
	}
	return entries
}
