package hub

// Kept is how many memberships and topics there are.
func (h *Hub) Kept() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.memberships) + len(h.topics)
}
