// Package exercise is a box of tickets for rooms. Make its test pass:
//
//	go test ./lessons/5-who-may-come-in/exercise
package exercise

import "time"

// Tickets are the ones that were given out and not used yet. Its methods may be called from any goroutine.
type Tickets struct {
	// Yours to write.
}

// Give returns a new ticket, with which a person may enter a room within the next 30 seconds. Nobody can guess it. A person who
// has 3 good, unused tickets gets no more: then ok is false.
func (t *Tickets) Give(name, room string, now time.Time) (ticket string, ok bool) {
	return "", false
}

// Use returns the name of the ticket's owner. The ticket cannot be used again. ok is false for a ticket that was used, is too
// old, or is for another room; trying it at the wrong room does not use it up.
func (t *Tickets) Use(ticket, room string, now time.Time) (name string, ok bool) {
	return "", false
}
