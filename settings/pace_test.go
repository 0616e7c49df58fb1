package settings

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// line is one line of a JSON log.
type line struct {
	Level, Msg, Of string
	Lines          int
}

// take reads what was written since the last call.
func (j *journal) take(t *testing.T) (lines []line, size int) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	size = j.text.Len()
	for in := bufio.NewScanner(&j.text); in.Scan(); {
		var l line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", in.Text(), err)
		}
		lines = append(lines, l)
	}
	j.text.Reset()
	return lines, size
}

// newLog is a paced log, and where it goes.
func newLog() (*slog.Logger, *journal, func()) {
	set := Defaults()
	set.Log = "json"
	j := new(journal)
	log, flush := set.Logger(j)
	return log, j, flush
}

// count is how many of the lines have a text.
func count(lines []line, text string) (n int) {
	for _, l := range lines {
		if l.Msg == text {
			n++
		}
	}
	return n
}

func TestOneTextIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, j, flush := newLog()
		for range lineBurst + 1000 {
			log.Info("flood", "n", 1)
		}
		log.Info("another")
		lines, _ := j.take(t)
		if count(lines, "flood") != lineBurst || count(lines, "another") != 1 || len(lines) != lineBurst+1 {
			t.Fatalf("of a flood %d lines are written, and %d of another text", count(lines, "flood"), count(lines, "another"))
		}
		time.Sleep(summaryTime)
		synctest.Wait()
		lines, _ = j.take(t)
		if len(lines) != 1 || lines[0] != (line{"INFO", leftOutText, "flood", 1000}) {
			t.Fatalf("a second later it is told that %v", lines)
		}
		for range 1000 {
			log.Info("flood")
		}
		if lines, _ = j.take(t); len(lines) != lineRate {
			t.Errorf("in the next second %d lines are written", len(lines))
		}
		flush()
		flush()
		if lines, _ = j.take(t); len(lines) != 1 || lines[0].Lines != 1000-lineRate {
			t.Errorf("at the end it is told that %v", lines)
		}
		for range 1000 {
			log.Info("flood")
		}
		time.Sleep(time.Hour)
		if lines, _ = j.take(t); count(lines, leftOutText) != 0 {
			t.Errorf("after the end it is told that %v", lines)
		}
	})
}

// What is seldom is written, whatever else is.
func TestNoFloodHidesAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, j, flush := newLog()
		defer flush()
		for second := range 20 {
			for i := range 300 {
				for range 20 {
					log.Info(fmt.Sprint("flood ", i), "with", strings.Repeat("x", 900))
					log.Warn("flood of warnings", "with", strings.Repeat("x", 900))
				}
			}
			seldom := fmt.Sprint("disk ", second)
			log.Error(seldom)
			log.Warn("and again")
			if lines, _ := j.take(t); count(lines, seldom) != 1 || count(lines, "and again") != 1 {
				t.Fatalf("in second %d a flood hides an error", second)
			}
			time.Sleep(time.Second)
		}
	})
}

// Lines that are no warnings leave room for those that are.
func TestWarningsHaveBytesOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, j, flush := newLog()
		defer flush()
		for i := range 300 {
			log.Info(fmt.Sprint("flood ", i%200), "with", strings.Repeat("x", 900))
		}
		if _, size := j.take(t); size < logBurst-logSpare || size > logBurst-logSpare+2048 {
			t.Errorf("a flood writes %d bytes at once", size)
		}
		for range 20 {
			log.Warn("disk", "with", strings.Repeat("x", 900))
		}
		if lines, _ := j.take(t); count(lines, "disk") != 20 {
			t.Errorf("%d of 20 warnings are written", count(lines, "disk"))
		}
	})
}

// Texts that nobody has logged for long give their place to others.
func TestTextsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, j, flush := newLog()
		defer flush()
		for i := range 2 * mostTexts {
			log.Info(fmt.Sprint("text ", i))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		j.take(t)
		for range lineBurst + 7 {
			log.Info("a new text")
		}
		time.Sleep(summaryTime)
		synctest.Wait()
		if lines, _ := j.take(t); !slices.Contains(lines, line{"INFO", leftOutText, "a new text", 7}) {
			t.Errorf("it is told that %v", lines[len(lines)-1])
		}
	})
}

// Whatever is logged: the log stays small, what is left out is told, each line counts once, and the memory is bounded.
func TestTheLogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, j, flush := newLog()
		state := log.Handler().(*pace).state
		levels := []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError}
		r := rand.New(rand.NewPCG(1, 2))
		logged, seen, size := 0, 0, 0
		look := func() {
			lines, n := j.take(t)
			size += n
			for _, l := range lines {
				if seen++; l.Msg == leftOutText {
					seen += l.Lines - 1
				}
			}
			if len(state.texts) > mostTexts+len(levels) {
				t.Fatalf("%d texts are remembered", len(state.texts))
			}
		}
		const minutes = 2
		for range minutes * 60 * 10 {
			texts, n, longest := 1+r.IntN(8), r.IntN(100), 3000 // as many texts as an attack makes the program say
			if r.IntN(200) == 0 {
				texts, n, longest = 5000, 2000, 100 // and texts that vary, as none should
			}
			for range n {
				logged++
				log.Log(t.Context(), levels[r.IntN(3)], fmt.Sprint("text ", r.IntN(texts)), "value", strings.Repeat("x", r.IntN(longest)))
			}
			time.Sleep(time.Second / 10)
			look()
		}
		flush()
		look()
		if logged != seen {
			t.Errorf("%d lines were logged, %d are written or told to be left out", logged, seen)
		}
		if most := 1_000_000 * minutes; size > most {
			t.Errorf("in %d minutes %d bytes are written", minutes, size)
		}
		t.Logf("%d lines, %d bytes a minute", logged, size/minutes)
	})
}

// Callbacks that panic write their stacks while there is room, and in any case that they panicked.
func TestStacksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, j, flush := newLog()
		defer flush()
		const minutes, texts = 3, 5
		said, size := 0, 0
		for range minutes * 60 {
			for i := range 100 {
				log.With("id", "1-2").Error(fmt.Sprint("panic ", i%texts), "panic", "a", "stack", strings.Repeat("x", 64<<10))
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if size == 0 && !strings.Contains(j.text.String(), strings.Repeat("x", longestStack)) {
				t.Error("the first stack is not written")
			}
			lines, n := j.take(t)
			size += n
			for _, l := range lines {
				if l.Msg != leftOutText {
					said++
				}
			}
		}
		if size > 1_000_000*minutes {
			t.Errorf("in %d minutes %d bytes are written", minutes, size)
		}
		if said < texts*minutes*60 {
			t.Errorf("%d panics are told in %d minutes", said, minutes)
		}
		t.Logf("%d bytes and %d panics a minute", size/minutes, said/minutes)
	})
}

// stuck is a log whose writes wait.
type stuck struct{ begun, release chan struct{} }

func (s stuck) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(leftOutText)) {
		s.begun <- struct{}{}
		<-s.release
	}
	return len(line), nil
}

// The end waits for a summary that is being written.
func TestTheEndWaitsForASummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := Defaults()
		out := stuck{make(chan struct{}), make(chan struct{})}
		log, flush := set.Logger(out)
		for range lineBurst + 1 {
			log.Info("flood")
		}
		<-out.begun
		ended := make(chan struct{})
		go func() { flush(); close(ended) }()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("it does not wait")
		default:
		}
		close(out.release)
		<-ended
	})
}

// Attributes and groups of a logger are written, and it is paced with the others.
func TestPaceIsShared(t *testing.T) {
	log, j, flush := newLog()
	one := log.With("id", "a").WithGroup("more")
	for range lineBurst {
		one.Info("text", "key", "value")
		log.Info("text")
	}
	if text := j.text.String(); !strings.Contains(text, `"id":"a","more":{"key":"value"}`) {
		t.Errorf("the log is %.300s", text)
	}
	if lines, _ := j.take(t); len(lines) >= 2*lineBurst {
		t.Errorf("%d lines are written", len(lines))
	}
	flush()
}

func TestPaceFromManyGoroutines(t *testing.T) {
	log, j, flush := newLog()
	var all sync.WaitGroup
	const each, goroutines = 2000, 8
	for g := range goroutines {
		all.Go(func() {
			for i := range each {
				log.Warn(fmt.Sprint("text ", (g+i)%5))
			}
		})
	}
	all.Wait()
	flush()
	lines, _ := j.take(t)
	seen := 0
	for _, l := range lines {
		if seen++; l.Msg == leftOutText {
			seen += l.Lines - 1
		}
	}
	if seen != each*goroutines {
		t.Errorf("%d lines are written or told to be left out, of %d", seen, each*goroutines)
	}
}

func TestLevelsAndLongValues(t *testing.T) {
	set := Defaults()
	set.LogLevel = slog.LevelWarn
	var out bytes.Buffer
	log, flush := set.Logger(&out)
	log.Info("unseen")
	log.Warn("text", "path", strings.Repeat("é", 5000), "error", errors.New(strings.Repeat("e", 5000)), "stack", strings.Repeat("s", 5000))
	flush()
	text := out.String()
	if strings.Contains(text, "unseen") || len(text) > 5000+3*longestValue || !strings.Contains(text, strings.Repeat("s", 5000)) || strings.Count(text, "…") != 2 || !strings.Contains(text, "(10000 bytes)") || strings.Contains(text, `\x`) {
		t.Errorf("%d bytes: %.200s", len(text), text)
	}
	if log.Enabled(context.Background(), slog.LevelInfo) {
		t.Error("what is not written is made")
	}
}

// What clients do wrong with TLS is no warning, and no text of its own for each of them.
func TestHTTPLog(t *testing.T) {
	set := Defaults()
	set.LogLevel = slog.LevelDebug
	var out bytes.Buffer
	log, flush := set.Logger(&out)
	defer flush()
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(log)
	HTTPLog().Print("http: TLS handshake error from 192.0.2.1:5555: EOF")
	HTTPLog().Print("http: Accept error: too many open files")
	for _, want := range []string{`level=DEBUG msg="a TLS handshake failed" error="http: TLS`, `level=WARN msg=HTTP error="http: Accept`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, &out)
		}
	}
}

func BenchmarkLeftOut(b *testing.B) {
	set := Defaults()
	log, flush := set.Logger(io.Discard)
	defer flush()
	b.ReportAllocs()
	for b.Loop() {
		log.Info("text", "n", 1)
	}
}
