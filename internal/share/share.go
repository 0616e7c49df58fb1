// Package share bounds what clients make the server hold in memory: all clients together, and each address.
package share

import "sync"

// ofAddress is the part of a budget that one address may take, so that enough is left for others.
const ofAddress = 4

// Budget counts bytes.
type Budget struct {
	most int64

	mu      sync.Mutex // guards the rest
	used    int64
	of      map[string]int64 // by address
	refused [Address + 1]uint64
}

// Refusal says what there was no room in.
type Refusal int

const (
	None    Refusal = iota // there was room
	All                    // the budget
	Address                // the address's part of it
)

// New returns a Budget of most bytes, of which one address may take a quarter.
func New(most int64) *Budget { return &Budget{most: most, of: map[string]int64{}} }

// Part is how many bytes of a budget one address may take.
func Part(most int64) int64 { return most / ofAddress }

// Try counts n bytes for an address, or says what there is no room in. An address that has its part is told so, also where
// the whole budget is used up.
func (b *Budget) Try(address string, n int) Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.of[address]+int64(n) > Part(b.most):
		b.refused[Address]++
		return Address
	case b.used+int64(n) > b.most:
		b.refused[All]++
		return All
	}
	b.addLocked(address, n)
	return None
}

// Refused is how often there was no room: in the budget, and in an address's part of it.
func (b *Budget) Refused() (all, address uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused[All], b.refused[Address]
}

// Add counts n bytes for an address even if there is no room for them. A negative n gives bytes back.
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

// Full says what there is no more room in for an address. It is no refusal: Refused does not count it.
func (b *Budget) Full(address string) Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.of[address] >= Part(b.most):
		return Address
	case b.used >= b.most:
		return All
	}
	return None
}

// Used returns how many bytes are counted.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
