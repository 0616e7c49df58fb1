package settings

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A stack is readable in a log in text, and part of the line in one of JSON.
func TestAStackIsBelowItsLine(t *testing.T) {
	stack := "goroutine 7 [running]:\nmain.main()\n\t/tmp/main.go:3 +0x1d\n"
	for format, want := range map[string]string{
		"text": " panic=\"on purpose\"\n\tgoroutine 7 [running]:\n\tmain.main()\n\t\t/tmp/main.go:3 +0x1d\n",
		"json": `"panic":"on purpose","stack":"goroutine 7 [running]:\nmain.main()\n\t/tmp/main.go:3 +0x1d\n"}` + "\n",
	} {
		set := Defaults()
		set.Log = format
		j := new(journal)
		log, flush := set.Logger(j)
		log.Error("a handler panicked", "id", 1, "panic", "on purpose", "stack", stack)
		flush()
		if got := j.text.String(); !strings.HasSuffix(got, want) || strings.Count(got, "level") != 1 {
			t.Errorf("%s: %s", format, got)
		}
	}
}

// No value that a client chooses is taken for a stack, and no stack begins a line of the log.
func FuzzStackBelow(f *testing.F) {
	f.Add("a stack=", "b", "goroutine 7 [running]:\nmain.main()\n")
	f.Add("a stack=", " stack=", "a\nstack=\"b\"\r\nlevel=ERROR")
	f.Add(`a stack="`, `" stack="b"`, " \"")
	f.Fuzz(func(t *testing.T, a, b, stack string) {
		write := func(below bool, args ...any) string {
			var out bytes.Buffer
			options := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			}}
			h := slog.NewTextHandler(&out, options)
			if below {
				h = slog.NewTextHandler(stackBelow{&out}, options)
			}
			slog.New(h).Error("line", args...)
			return out.String()
		}
		line := write(false, "a", a, "b", b)
		if got := write(true, "a", a, "b", b); got != line {
			t.Errorf("without a stack it is %q, not %q", got, line)
		}
		got := write(true, "a", a, "b", b, "stack", "x "+stack) // with a space, to be quoted
		want := line + "\t" + strings.ReplaceAll(strings.TrimSpace("x "+stack), "\n", "\n\t") + "\n"
		if got != want && got != strings.ToValidUTF8(want, "\uFFFD") {
			t.Errorf("it is %q, not %q", got, want)
		}
	})
}
