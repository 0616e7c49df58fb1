// Package exercise is a box of tickets for rooms. Make its test pass:
//
//	go test ./lessons/5-who-may-come-in/exercise
package exercise

import "time"

// Tickets are those that were given out and are not used. Its methods may be called from any goroutine.
type Tickets struct {
	// Yours to write.
}

// Give returns a new ticket, with which a person may enter a room until 30 seconds from now. Nobody can guess it. Who has 3 that
// are good and not used gets no more: then ok is false.
func (t *Tickets) Give(name, room string, now time.Time) (ticket string, ok bool) {
	return "", false
}

// Use returns whose ticket it is, and uses it up. ok is false for one that is used, too old, or for another room; that it was
// tried at the wrong room does not use it up.
func (t *Tickets) Use(ticket, room string, now time.Time) (name string, ok bool) {
	return "", false
}
