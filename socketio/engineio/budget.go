package engineio

import "echows/internal/share"

// freeBytes is how many bytes of each holding are not counted.
const freeBytes = 16 << 10

// holding is something that a session holds in memory: a POST that has arrived, at least in part, and has not been
// handled; the packets that wait to be polled; an answer being written.
type holding struct {
	budget  *share.Budget
	address string
	bytes   int // counted
}

// grow makes the holding one of that many bytes, or says what there is no room in.
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

// ask says what there would be no room in if the holding became one of that many bytes.
func (h *holding) ask(bytes int) share.Refusal {
	if more := bytes - freeBytes - h.bytes; more > 0 {
		return h.budget.Ask(h.address, more)
	}
	return share.None
}

// set makes the holding one of that many bytes, even if there is no room for them.
func (h *holding) set(bytes int) {
	now := max(bytes-freeBytes, 0)
	h.budget.Add(h.address, now-h.bytes)
	h.bytes = now
}

// release gives all bytes back. It may be called again.
func (h *holding) release() { h.set(0) }
