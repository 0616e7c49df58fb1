// Package exercise is the solution: it replaces the file of the same name above.
package exercise

import "time"

const (
	first   = 500 * time.Millisecond
	longest = 30 * time.Second
)

// Delay is how long to wait after a number of failures in a row. It doubles step by step, as 2 to the power of a large number is too
// large for a time.Duration.
func Delay(failures int, random func() float64) time.Duration {
	wait := first
	for ; failures > 0 && wait < longest; failures-- {
		wait *= 2
	}
	return time.Duration(random() * float64(min(wait, longest)))
}

// Retry reports whether to come back after a close code.
func Retry(code int) bool {
	switch code {
	case 1002, 1003, 1007, 1008, 1009:
		return false
	}
	return code < 4000 || code > 4999
}
