package engineio

import "echows/internal/share"

// freeBytes is how many bytes each of a session's holdings may have without being counted.
const freeBytes = 16 << 10

// holding is one thing that a session holds: a POST that has arrived, also in part, and is not handled; the packets that
// wait to be polled; an answer under way.
type holding struct {
	budget  *share.Budget
	address string
	bytes   int // counted
}

// grow makes the holding one of so many bytes, unless there is no room for them.
func (h *holding) grow(bytes int) bool {
	more := max(bytes-freeBytes, 0) - h.bytes
	if more <= 0 {
		return true
	}
	if !h.budget.Take(h.address, more) {
		return false
	}
	h.bytes += more
	return true
}

// set makes the holding one of so many bytes, whether there is room for them or not.
func (h *holding) set(bytes int) {
	now := max(bytes-freeBytes, 0)
	h.budget.Add(h.address, now-h.bytes)
	h.bytes = now
}

// release gives all back. It may be called again.
func (h *holding) release() { h.set(0) }
