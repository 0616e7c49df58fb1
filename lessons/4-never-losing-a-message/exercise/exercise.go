// Package exercise is a sender's half of a chat that loses nothing. Make its test pass:
//
//	go test ./lessons/4-never-losing-a-message/exercise
package exercise

// Post is a message with the id that its sender gave it.
type Post struct {
	ID   string
	Text string
}

// Outbox holds posts until they are acknowledged. Its methods are called one at a time.
type Outbox struct {
	// Yours to write.
}

// Connected is called when there is a connection, for the first time or again. send hands a post to it, and may fail, which
// means that the connection is about to end. Connected sends all posts that are not acknowledged, in the order of Add.
func (o *Outbox) Connected(send func(Post) error) {
}

// Disconnected is called when the connection has ended. What was sent on it may have arrived, or not.
func (o *Outbox) Disconnected() {
}

// Add takes a post, and sends it if there is a connection, and nothing before it still has to be sent.
func (o *Outbox) Add(p Post) {
}

// Acknowledged is called when the server has acknowledged a post. That may happen twice, and for ids that nobody knows.
func (o *Outbox) Acknowledged(id string) {
}

// Pending returns the posts that are not acknowledged, in order.
func (o *Outbox) Pending() []Post {
	return nil
}
