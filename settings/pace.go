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

// How much is logged. A flood of lines costs at most logBytes a second, which is 0.7 MB a minute, after one logBurst.
const (
	lineBurst = 100       // lines of one text in a burst,
	lineRate  = 10        // and then per second
	logBytes  = 12 << 10  // bytes per second, of all lines
	logBurst  = 128 << 10 // bytes in a burst
	logSpare  = 48 << 10  // bytes of the burst that are reserved for warnings and errors
	firsts    = 16        // warnings and errors per second that are written regardless of the other limits: the first of each text
	mostTexts = 256       // texts with limits of their own; all others of a level share one
	mostTold  = 5         // texts that one summary lists

	summaryTime = time.Second
)

// pace is a slog.Handler that leaves out lines past two limits: lineRate a second, after a burst of lineBurst, for each text
// (a record's message, at its level), and logBytes a second for all lines. Part of these bytes is reserved for warnings and
// errors. So that no flood hides a warning or an error, the first line of each such text in a second is always written, for
// up to firsts texts a second. A summary once a second tells how many lines of each text were left out.
//
// Texts should be constants of the program; values that vary belong in attributes.
type pace struct {
	next  slog.Handler
	state *paceState
}

// paceState is shared by a handler and the handlers that its WithAttrs and WithGroup return.
type paceState struct {
	plain slog.Handler // without attributes, for summaries
	bytes *rate.Limiter
	first *rate.Limiter // for warnings and errors that are written regardless of the other limits

	mu     sync.Mutex // guards the rest; not held during writes
	texts  map[text]*tally
	told   *time.Timer // for the next summary; nil if nothing was left out since the last
	closed bool

	telling sync.WaitGroup // calls of tell in progress; no new ones once closed is set
}

// text identifies lines that share a limit.
type text struct {
	level   slog.Level
	message string // "" for all texts past mostTexts
}

// tally counts and limits the lines of one text.
type tally struct {
	lines   *rate.Limiter
	last    time.Time // when a line was last written
	leftOut uint64    // lines left out since the last summary
}

// newPace returns a handler that limits the one that make returns for a writer to w, and a function that writes the last
// summary: call it when nothing more will be logged.
func newPace(w io.Writer, make func(io.Writer) slog.Handler) (h slog.Handler, flush func()) {
	s := &paceState{bytes: rate.NewLimiter(logBytes, logBurst), first: rate.NewLimiter(firsts, 4*firsts), texts: map[text]*tally{}}
	s.plain = make(meter{w, s.bytes})
	return &pace{s.plain, s}, s.close
}

// meter counts the bytes written.
type meter struct {
	io.Writer
	bytes *rate.Limiter
}

func (m meter) Write(line []byte) (int, error) {
	m.bytes.ReserveN(time.Now(), min(len(line), logBurst)) // may drop below zero: later lines pay
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

// withoutStack returns the record with its stack left out, to be written although the bytes are used up.
func withoutStack(r slog.Record) slog.Record {
	short := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == stackKey {
			a.Value = slog.StringValue("omitted, as too much is being logged")
		}
		short.AddAttrs(a)
		return true
	})
	return short
}

// admit reports whether to write a line. If not, it counts the line as left out.
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

// tallyLocked returns the text's tally or, if there are too many texts, the tally that the rest of its level share.
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

// forgetLocked drops texts that may start over as new: their whole burst is available again, and no summary is due for them.
func (s *paceState) forgetLocked(now time.Time) {
	maps.DeleteFunc(s.texts, func(_ text, t *tally) bool { return t.leftOut == 0 && t.lines.TokensAt(now) >= lineBurst })
}

// omission is the number of lines of a text that were left out.
type omission struct {
	text
	lines uint64
}

// takeLocked returns the lines left out since the last call, most frequent text first.
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
	if s.closed { // close writes the summary
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

// summary logs an omission at the text's own level, so that the same readers see it.
func (s *paceState) summary(of omission) {
	r := slog.NewRecord(time.Now(), of.level, leftOutText, 0)
	r.Add("lines", of.lines, "of", of.message)
	s.plain.Handle(context.Background(), r) // like log/slog, it ignores errors: there is nowhere to report them
}

const leftOutText = "lines were left out of the log"

// close stops the timer for summaries, waits for a summary in progress, and writes the last one.
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
