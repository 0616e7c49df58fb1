package tests

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"echows/internal/programtest"
)

// atOnce is how many tests run beside one another, unless -parallel says otherwise. Most of their time they wait: for a disk, a
// limit, a silence. Each has up to two programs.
const atOnce = "4"

func TestMain(m *testing.M) {
	flag.Set("test.parallel", atOnce) // the command line's comes after
	goleak.VerifyTestMain(m, goleak.Cleanup(programtest.Exit))
}
