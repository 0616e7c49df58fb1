package lesson

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// What has left its terminal is found, and ended.
func TestLeft(t *testing.T) {
	variable := fmt.Sprintf("ECHOWS_LESSON_TEST=%d-%d", os.Getpid(), time.Now().UnixNano())
	w, ctx := terminal(t, "", variable)
	if _, err := w.Type(ctx, "setsid sh -c 'sleep 1000 >/dev/null 2>&1 &'"); err != nil {
		t.Fatal(err)
	}
	if err := w.End(ctx); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if found := left(variable); len(found) != 1 || !strings.Contains(found[0], "sleep 1000") {
		t.Errorf("left behind: %q", found)
	}
	if found := with(variable); len(found) > 0 {
		t.Errorf("still there: %v", found)
	}
}
