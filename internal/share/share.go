// Package share bounds the memory that clients make the server hold, in total and for each address.
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

// Refusal says where there was no room.
type Refusal int

const (
	None    Refusal = iota // there was room
	All                    // the budget
	Address                // the address's part of it
)

// New returns a Budget of most bytes, of which one address may take a quarter.
func New(most int64) *Budget { return &Budget{most: most, of: map[string]int64{}} }

// Part returns how many bytes of a budget one address may take.
func Part(most int64) int64 { return most / ofAddress }

// Try counts n bytes for an address, or says where there is no room. If an address has used up its part, Try says so even if
// the whole budget is used up, too.
func (b *Budget) Try(address string, n int) Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	why := b.askLocked(address, n)
	if why == None {
		b.addLocked(address, n)
	} else {
		b.refused[why]++
	}
	return why
}

// Refused returns how often there was no room: in the budget, and in an address's part of it.
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

// Ask says where there would be no room for n more bytes of an address now. It is no refusal: Refused does not count it.
func (b *Budget) Ask(address string, n int) Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.askLocked(address, n)
}

func (b *Budget) askLocked(address string, n int) Refusal {
	switch {
	case b.of[address]+int64(n) > Part(b.most):
		return Address
	case b.used+int64(n) > b.most:
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
