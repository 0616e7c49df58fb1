package broker

import (
	"strconv"
	"strings"
)

// NATS does not keep the order of a Journal's entries. A server that stops, or a slow network, may still pass on an entry of a
// connection that is already lost, when entries before it were lost with the connection. They are sent again, and are stored
// after it. The stream cannot refuse a late entry: with the condition for that, Nats-Expected-Last-Subject-Sequence, a
// replicated stream takes one entry at a time, and refuses all others that are on their way. So the entries of each writer
// have numbers, and followers check these.

// A writer is a pipe and a topic. It numbers its entries 1, 2, 3 and so on, in the order of Append. Its name and the number
// are the entry's id.
type writer struct {
	name string
	last uint64 // number
}

// nextID returns the id for the next entry of a topic, or for the next value if the topic is empty. Only send calls it. alone is
// true while no other entry is unfinished: then a new writer, of which followers know nothing, may go on for an old one.
func (p *pipe) nextID(topic string, alone bool) string {
	if alone && len(p.writers) >= maxWriters { // names of topics that may be used no more
		clear(p.writers)
	}
	w := p.writers[topic]
	if w == nil {
		w = &writer{name: p.name + strconv.Itoa(p.named) + "."}
		p.named++
		p.writers[topic] = w
	}
	w.last++
	return w.name + strconv.FormatUint(w.last, 36)
}

// parseID returns the writer's name and the number of an id that nextID made.
func parseID(id string) (writer string, number uint64, ok bool) {
	end := strings.LastIndexByte(id, '.') + 1
	number, err := strconv.ParseUint(id[end:], 36, 64)
	return id[:end], number, end > 0 && err == nil
}

// maxWriters is how many writers a follower remembers. A node has a new one after each start. With more, the follower
// forgets the one whose last entry is the oldest. A pipe remembers as many, and forgets all.
const maxWriters = 1024

// latest is the last entry of a writer that was delivered.
type latest struct{ number, seq uint64 }

// orders is what a follower knows of each writer, by name. It depends only on the stream, so all followers that have read the
// same entries find the same holes.
type orders map[string]latest

// next reports whether an entry is in its writer's order, so that it can be delivered, and whether there is a hole before it:
// entries are missing, which may still be stored later and are out of order then. An entry that is out of order counts as a
// hole, too. Nothing is known of what precedes a writer's first entry.
func (o orders) next(e Entry) (inOrder, hole bool) {
	name, number, ok := parseID(e.id)
	if !ok {
		return true, false
	}
	before, known := o[name]
	if known && number <= before.number {
		return false, true
	}
	if !known && len(o) == maxWriters {
		o.forgetOldest()
	}
	o[name] = latest{number, e.Seq}
	return true, known && number > before.number+1
}

func (o orders) forgetOldest() {
	oldest, least := "", ^uint64(0)
	for name, l := range o {
		if l.seq < least {
			oldest, least = name, l.seq
		}
	}
	delete(o, oldest)
}

// takeLocked reports whether to deliver an entry, after it has told the handler about a hole before it.
func (w *whole) takeLocked(e Entry) bool {
	inOrder, hole := w.orders.next(e)
	if hole && w.following.h.Hole != nil {
		w.following.h.Hole(e.Seq)
	}
	return inOrder
}

// failLate fails entries that were sent again and stored after a later entry of their topic, which followers do not deliver,
// and entries of which that is not known. all is in the order of Append.
func failLate(all []sent) {
	lowest := map[string]uint64{} // sequence of the later entries, by topic; 0 if one is not known
	for i := len(all) - 1; i >= 0; i-- {
		s := &all[i]
		after, known := lowest[s.topic]
		if s.stored && s.again && known && s.seq > after {
			s.stored, s.err = false, errLate
		}
		switch {
		case s.stored && (!known || s.seq < after):
			lowest[s.topic] = s.seq
		case !s.stored && s.seq == 0 && !refused(s.err):
			lowest[s.topic] = 0
		}
	}
}
