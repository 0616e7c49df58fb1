// Package exercise is the solution: it replaces the file of the same name above.
package exercise

import "slices"

// Post is a message with its sender's id.
type Post struct {
	ID   string
	Text string
}

// Outbox holds posts until they are acknowledged. Its methods are called one at a time.
type Outbox struct {
	pending []Post
	sent    int              // how many of pending this connection has
	send    func(Post) error // nil while there is no connection, or it is about to end
}

// Connected sends what is not acknowledged.
func (o *Outbox) Connected(send func(Post) error) {
	o.send, o.sent = send, 0
	o.flush()
}

// Disconnected has all of it sent again by the next connection.
func (o *Outbox) Disconnected() {
	o.send = nil
}

// Add takes a post.
func (o *Outbox) Add(p Post) {
	o.pending = append(o.pending, p)
	o.flush()
}

// Acknowledged is called when the server has a post.
func (o *Outbox) Acknowledged(id string) {
	i := slices.IndexFunc(o.pending, func(p Post) bool { return p.ID == id })
	if i < 0 {
		return
	}
	o.pending = slices.Delete(o.pending, i, i+1)
	if i < o.sent {
		o.sent--
	}
}

// Pending are the posts that are not acknowledged, in order.
func (o *Outbox) Pending() []Post { return slices.Clone(o.pending) }

// flush sends what this connection does not have, until it fails: what comes after that waits for the next one.
func (o *Outbox) flush() {
	for o.send != nil && o.sent < len(o.pending) {
		if o.send(o.pending[o.sent]) != nil {
			o.send = nil
			return
		}
		o.sent++
	}
}
