package engineio

import "echows/internal/share"

// freeBytes is how many bytes of each holding are not counted.
const freeBytes = 16 << 10

// holding counts the bytes of something that a session holds in memory: a POST that has arrived at least in part and has not
// been handled, the queue, or an answer being written.
type holding struct {
	budget  *share.Budget
	address string
	bytes   int // counted
}

// grow increases the holding to bytes, or returns which budget is full.
func (h *holding) grow(bytes int) share.Refusal {
	more := max(bytes-freeBytes, 0) - h.bytes
	if more <= 0 {
		return share.None
	}
	why := h.budget.Try(h.address, more)
	if why == share.None {
		h.bytes += more
	}
	return why
}

// ask returns which budget would be full, if any, if the holding were increased to bytes.
func (h *holding) ask(bytes int) share.Refusal {
	if more := bytes - freeBytes - h.bytes; more > 0 {
		return h.budget.Ask(h.address, more)
	}
	return share.None
}

// set changes the holding to bytes, even if there is no room.
func (h *holding) set(bytes int) {
	now := max(bytes-freeBytes, 0)
	h.budget.Add(h.address, now-h.bytes)
	h.bytes = now
}

// release returns all bytes to the budget. It may be called again.
func (h *holding) release() { h.set(0) }
