package settings

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How much is logged. No flood of lines costs more than logBytes a second: 0.7 MB a minute, and logBurst once.
const (
	lineBurst = 100       // lines of one text that are written at once,
	lineRate  = 10        // and then a second
	logBytes  = 12 << 10  // bytes a second, of all lines
	logBurst  = 128 << 10 // and at once
	logSpare  = 48 << 10  // of which warnings and errors have so many to themselves
	firsts    = 16        // warnings and errors a second that are written whatever else is: the first of each text
	mostTexts = 256       // texts that are told apart; the others of a level count as one
	mostTold  = 5         // texts of which one summary tells

	summaryTime = time.Second
)

// pace is a slog.Handler that leaves lines out where there are too many: of one text (a record's message, at its level)
// after a burst of lineBurst more than lineRate a second, and of all more than logBytes a second. Warnings and errors
// have a part of these bytes for themselves, and the first line of each such text in a second is written in any case, for as
// many texts as firsts says, so that no flood hides one. What was left out is told once a second, by text.
//
// It is for texts that are constants of the program; what varies belongs into attributes.
type pace struct {
	next  slog.Handler
	state *paceState
}

// paceState is shared by a handler and those made of it by WithAttrs and WithGroup.
type paceState struct {
	plain slog.Handler // without attributes, for summaries
	bytes *rate.Limiter
	first *rate.Limiter // lines of warnings and errors that nothing else holds back

	mu     sync.Mutex // guards the rest; not held while anything is written
	texts  map[text]*tally
	told   *time.Timer // for the next summary; nil while nothing was left out since the last
	closed bool

	telling sync.WaitGroup // calls of tell that write; none begins once closed is set
}

// text is what lines are told apart by.
type text struct {
	level   slog.Level
	message string // "" for all that are too many to be told apart
}

// tally is what became of one text's lines.
type tally struct {
	lines   *rate.Limiter
	last    time.Time // when one was written
	leftOut uint64    // since the last summary
}

// newPace makes a handler over the one that make returns for a writer, and a function that writes the last summary: call it
// once nothing more is logged.
func newPace(w io.Writer, make func(io.Writer) slog.Handler) (h slog.Handler, flush func()) {
	s := &paceState{bytes: rate.NewLimiter(logBytes, logBurst), first: rate.NewLimiter(firsts, 4*firsts), texts: map[text]*tally{}}
	s.plain = make(meter{w, s.bytes})
	return &pace{s.plain, s}, s.close
}

// meter counts what is written.
type meter struct {
	io.Writer
	bytes *rate.Limiter
}

func (m meter) Write(line []byte) (int, error) {
	m.bytes.ReserveN(time.Now(), min(len(line), logBurst)) // below zero, too: later lines pay
	return m.Writer.Write(line)
}

func (p *pace) Enabled(ctx context.Context, level slog.Level) bool { return p.next.Enabled(ctx, level) }

func (p *pace) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &pace{p.next.WithAttrs(attrs), p.state}
}

func (p *pace) WithGroup(name string) slog.Handler { return &pace{p.next.WithGroup(name), p.state} }

func (p *pace) Handle(ctx context.Context, r slog.Record) error {
	if !p.state.admit(text{r.Level, r.Message}, time.Now()) {
		return nil
	}
	if p.state.bytes.Tokens() < 0 {
		r = withoutStack(r)
	}
	return p.next.Handle(ctx, r)
}

// withoutStack is a line that is written although the bytes are used up: short.
func withoutStack(r slog.Record) slog.Record {
	short := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == stackKey {
			a.Value = slog.StringValue("left out, as much is logged")
		}
		short.AddAttrs(a)
		return true
	})
	return short
}

// admit reports whether a line is to be written, and counts it if not.
func (s *paceState) admit(of text, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tallyLocked(of, now)
	if s.mayLocked(of.level, t, now) {
		t.last = now
		return true
	}
	t.leftOut++
	if s.told == nil && !s.closed {
		s.told = time.AfterFunc(summaryTime, s.tell)
	}
	return false
}

func (s *paceState) mayLocked(level slog.Level, t *tally, now time.Time) bool {
	urgent := level >= slog.LevelWarn
	if urgent && now.Sub(t.last) >= summaryTime && s.first.AllowN(now, 1) {
		t.lines.AllowN(now, 1)
		return true
	}
	spare := float64(logSpare)
	if urgent {
		spare = 0
	}
	return s.bytes.TokensAt(now) > spare && t.lines.AllowN(now, 1)
}

// tallyLocked is the text's tally, or, where there are too many texts, that of all others of its level.
func (s *paceState) tallyLocked(of text, now time.Time) *tally {
	t := s.texts[of]
	if t == nil && len(s.texts) >= mostTexts {
		s.forgetLocked(now)
	}
	if t == nil && len(s.texts) >= mostTexts {
		of.message = ""
		t = s.texts[of]
	}
	if t == nil {
		t = &tally{lines: rate.NewLimiter(lineRate, lineBurst)}
		s.texts[of] = t
	}
	return t
}

// forgetLocked drops the texts that count as new: all of their burst is there again, and nothing is to be told of them.
func (s *paceState) forgetLocked(now time.Time) {
	maps.DeleteFunc(s.texts, func(_ text, t *tally) bool { return t.leftOut == 0 && t.lines.TokensAt(now) >= lineBurst })
}

// omission is how often a text was left out.
type omission struct {
	text
	lines uint64
}

// takeLocked returns what was left out since the last call, the most first.
func (s *paceState) takeLocked() (all []omission) {
	for of, t := range s.texts {
		if t.leftOut > 0 {
			all = append(all, omission{of, t.leftOut})
			t.leftOut = 0
		}
	}
	slices.SortFunc(all, func(a, b omission) int {
		return cmp.Or(cmp.Compare(b.lines, a.lines), cmp.Compare(b.level, a.level), cmp.Compare(a.message, b.message))
	})
	return all
}

// tell writes a summary.
func (s *paceState) tell() {
	s.mu.Lock()
	if s.closed { // close tells
		s.mu.Unlock()
		return
	}
	s.told = nil
	all := s.takeLocked()
	s.telling.Add(1)
	s.mu.Unlock()
	defer s.telling.Done()
	s.write(all)
}

func (s *paceState) write(all []omission) {
	var others omission
	for i, one := range all {
		if i < mostTold && one.message != "" {
			s.summary(one)
			continue
		}
		if others.lines == 0 || one.level > others.level {
			others.level = one.level
		}
		others.lines += one.lines
	}
	if others.lines > 0 {
		others.message = "other lines"
		s.summary(others)
	}
}

// summary tells of a text at its own level, so that whoever sees the one sees the other.
func (s *paceState) summary(of omission) {
	r := slog.NewRecord(time.Now(), of.level, leftOutText, 0)
	r.Add("lines", of.lines, "of", of.message)
	s.plain.Handle(context.Background(), r) // as in log/slog, nobody is told where the log itself cannot be written
}

const leftOutText = "lines were left out of the log"

// close writes what was left out and not told yet, and has no more told. It waits for a summary that is being written.
func (s *paceState) close() {
	s.mu.Lock()
	s.closed = true
	if s.told != nil {
		s.told.Stop()
		s.told = nil
	}
	all := s.takeLocked()
	s.mu.Unlock()
	s.telling.Wait()
	s.write(all)
}
