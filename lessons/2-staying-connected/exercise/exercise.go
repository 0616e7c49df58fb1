// Package exercise is what a script needs to come back. Make its test pass:
//
//	go test ./lessons/2-staying-connected/exercise
package exercise

import "time"

// Delay is how long to wait after a number of failures in a row: a random part of 500 ms after the first (failures is 0 then), which
// doubles with each further one, up to 30 s. random returns a number from 0 to 1. failures may be large: a laptop may be offline for a week.
func Delay(failures int, random func() float64) time.Duration {
	return 0 // yours to write
}

// Retry reports whether to come back after a close code. It makes no sense after 1002, 1003, 1007, 1008 and 1009, which say that we
// broke a rule and would break it again, nor after an application's own codes, 4000 to 4999.
func Retry(code int) bool {
	return false // yours to write
}
