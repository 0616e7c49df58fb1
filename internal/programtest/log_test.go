package programtest

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// Text may be written in pieces; Find returns only when its line is complete.
func TestFind(t *testing.T) {
	var l Log
	next := make(chan bool)
	go func() {
		for _, piece := range []string{"first\nlevel=INFO op", "en=http://127.0.0.1", ":80 x=1", "\nopen=another\nlast: \n"} {
			<-next
			io.WriteString(&l, piece)
		}
	}()
	go func() {
		defer close(next)
		for range 4 {
			next <- true
		}
	}()
	if got := l.Find(t, "open="); got != "http://127.0.0.1:80" {
		t.Errorf("found %s", got)
	}
	if got := l.Find(t, "last:"); got != "." {
		t.Errorf("found %s", got)
	}
}

// failing is a testing.TB that records a failure instead of failing.
type failing struct {
	testing.TB
	said chan string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said <- fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// Find does not wait for a program that has ended.
func TestFindInALogThatHasEnded(t *testing.T) {
	var l Log
	f := &failing{t, make(chan string, 1)}
	io.WriteString(&l, "echows: the port is taken\nopen=")
	go func() {
		l.Find(f, "open=")
		f.said <- ""
	}()
	l.End()
	if got, want := <-f.said, "the log ends without \"open=\":\necho"; !strings.HasPrefix(got, want) {
		t.Errorf("it says %q", got)
	}
}
