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

// atOnce is how many tests run in parallel, unless -parallel says otherwise. They spend most of their time waiting for a disk,
// a limit or a timeout. Each runs up to two programs.
const atOnce = "4"

func TestMain(m *testing.M) {
	flag.Set("test.parallel", atOnce) // the command line is parsed later and takes precedence
	goleak.VerifyTestMain(m, goleak.Cleanup(programtest.Exit))
}

// twoNodes starts two nodes of a cluster.
func twoNodes(t *testing.T, args ...string) (one, two *programtest.Program) {
	t.Helper()
	args = append([]string{"-nats", natstest.Start(t), "-secret", strings.Repeat("s", 32)}, args...)
	return programtest.Start(t, args...), programtest.Start(t, args...)
}

// comesTrue calls ask repeatedly until it reports true, for conditions without an event to wait for, such as a database's
// contents or a server's health. otherwise describes the last answer.
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
