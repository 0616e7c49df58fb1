package client

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"echows/ws"
)

const (
	firstDelay        = 500 * time.Millisecond // the longest wait after the first failure; doubled after each further one
	longestDelay      = 30 * time.Second
	stableAfter       = 5 * time.Second // after a connection that was open for this long, the next wait is short again
	longestRetryAfter = 5 * time.Minute // that a server may ask for
)

// delay returns a wait that grows exponentially and is random over its whole length ("full jitter"), so that the
// clients of a server that restarts do not all come back at the same moment. failures is how many failures in a row
// came before this one.
func delay(failures int, random func() float64) time.Duration {
	return time.Duration(random() * float64(doubled(firstDelay, failures)))
}

// doubled returns d·2ⁿ, but not more than longestDelay.
func doubled(d time.Duration, n int) time.Duration {
	for ; n > 0 && d < longestDelay; n-- {
		d *= 2
	}
	return min(d, longestDelay)
}

// retryAfter returns how long the server that answered with err asked clients to wait (RFC 9110, section 10.2.3).
func retryAfter(err error, now time.Time) time.Duration {
	var refused *ws.HandshakeError
	if !errors.As(err, &refused) {
		return 0
	}
	asked := refused.Header.Get("Retry-After")
	var wait time.Duration
	if seconds, err := strconv.ParseUint(asked, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(asked); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), longestRetryAfter)
}
