package visit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Tally counts what happened, by name. Any goroutine may use it.
type Tally struct {
	mu    sync.Mutex
	count map[string]int
}

// Add counts n times more.
func (t *Tally) Add(name string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count == nil {
		t.count = map[string]int{}
	}
	t.count[name] += n
}

// String lists the counts, the highest first.
func (t *Tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := slices.SortedFunc(maps.Keys(t.count), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.count[b], t.count[a]), cmp.Compare(a, b))
	})
	var all []string
	for _, name := range names {
		all = append(all, fmt.Sprintf("%s × %d", name, t.count[name]))
	}
	return strings.Join(all, "<br>")
}
