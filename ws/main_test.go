package ws_test

import (
	"testing"

	"go.uber.org/goleak"
)

// A goroutine that outlives the tests fails the run.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
