package tests

import (
	"flag"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"echows/internal/natstest"
	"echows/internal/programtest"
)

// atOnce is how many tests run beside one another, unless -parallel says otherwise. Most of their time they wait: for a disk, a
// limit, a silence. Each has up to two programs.
const atOnce = "4"

func TestMain(m *testing.M) {
	flag.Set("test.parallel", atOnce) // the command line's comes after
	goleak.VerifyTestMain(m, goleak.Cleanup(programtest.Exit))
}

// twoNodes starts two nodes of one cluster.
func twoNodes(t *testing.T, args ...string) (one, two *programtest.Program) {
	t.Helper()
	args = append([]string{"-nats", natstest.Start(t), "-secret", strings.Repeat("s", 32)}, args...)
	return programtest.Start(t, args...), programtest.Start(t, args...)
}

// comesTrue asks again and again until something is so: what a database holds and what a server says of its health come with no
// event. Otherwise is what the last answer was.
func comesTrue(t *testing.T, ask func() (otherwise string, so bool)) {
	t.Helper()
	deadline, again := time.After(programtest.Patience), time.NewTicker(20*time.Millisecond)
	defer again.Stop()
	for {
		otherwise, so := ask()
		if so {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatal(otherwise)
		}
	}
}
