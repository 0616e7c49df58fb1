// Package share bounds what clients make the server hold: all together, and each address of it.
package share

import "sync"

// ofAddress is the part of a budget that one address may take: so that it takes the most that it can get, and
// others go on.
const ofAddress = 4

// Budget counts bytes.
type Budget struct {
	most int64

	mu   sync.Mutex
	used int64
	of   map[string]int64 // by address
}

// New returns a budget of so many bytes, of which one address may take a quarter.
func New(most int64) *Budget { return &Budget{most: most, of: map[string]int64{}} }

// Take counts n bytes of an address, if there is room for them.
func (b *Budget) Take(address string, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+int64(n) > b.most || b.of[address]+int64(n) > b.most/ofAddress {
		return false
	}
	b.addLocked(address, n)
	return true
}

// Add counts n bytes whether there is room for them or not; n may be negative, for bytes that are given back.
func (b *Budget) Add(address string, n int) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addLocked(address, n)
}

func (b *Budget) addLocked(address string, n int) {
	b.used += int64(n)
	if b.of[address] += int64(n); b.of[address] == 0 {
		delete(b.of, address)
	}
}

// IsFull reports whether an address is to hold no more.
func (b *Budget) IsFull(address string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used >= b.most || b.of[address] >= b.most/ofAddress
}

// Used is how many bytes are counted.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
