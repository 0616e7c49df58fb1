package chat

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"golang.org/x/time/rate"

	"echows/ws"
)

const (
	patienceRate  = 10              // messages a second of one connection that may be refused unread
	patienceBurst = 100             // how many of them at once; past that the connection is closed
	patienceSize  = maxPost         // bytes of a message that count as one more
	forgetTime    = 2 * time.Minute // after this long without a request an address, or a session, counts as new

	answersAtOnce  = 64              // answers with older messages that are read at a time
	addressAnswers = 8               // answers of one address, until they are written
	answerPatience = 5 * time.Second // how long one waits for its turn
	answerPart     = 32 << 10        // bytes of an answer that count as one more read of its address
)

// LimitSessions bounds the sessions that one address may begin.
func (c *Chat) LimitSessions() echo.MiddlewareFunc {
	return c.limit(limitSessions, c.config.Limits.Sessions)
}

// LimitSignOuts bounds the sessions that one address may end: a tenth of those that it may begin, in bursts as large. Each
// takes up disk space for twelve hours.
func (c *Chat) LimitSignOuts() echo.MiddlewareFunc {
	perSecond := c.config.Limits.Sessions
	return c.limitBy(limitSignOuts, limiter(perSecond/10, 100))
}

// LimitTickets bounds the tickets that one address may ask for.
func (c *Chat) LimitTickets() echo.MiddlewareFunc {
	return c.limit(limitConnects, c.config.Limits.Connects)
}

// LimitReads bounds the requests of one address that read.
func (c *Chat) LimitReads() echo.MiddlewareFunc {
	return c.limit(limitReads, c.config.Limits.Connects)
}

// LimitUpgrades bounds the upgrades of one address.
func (c *Chat) LimitUpgrades() echo.MiddlewareFunc {
	return c.limit(limitConnects, c.config.Limits.Connects)
}

// limit bounds the requests of each address, and counts refused ones under a name.
func (c *Chat) limit(name string, perSecond rate.Limit) echo.MiddlewareFunc {
	return c.limitBy(name, limiter(perSecond, 10))
}

func (c *Chat) limitBy(name string, l *middleware.RateLimiterMemoryStore) echo.MiddlewareFunc {
	return middleware.RateLimiterWithConfig(middleware.RateLimiterConfig{
		Store:               l,
		IdentifierExtractor: func(ctx echo.Context) (string, error) { return ws.AddressOf(ctx), nil },
		DenyHandler: func(ctx echo.Context, _ string, _ error) error {
			return c.tooMany(ctx, name, "too many requests from this address")
		},
	})
}

// limiter limits each name, such as an address, to perSecond, in bursts of as many as in the given seconds. It forgets
// names that are no longer used.
func limiter(perSecond rate.Limit, seconds float64) *middleware.RateLimiterMemoryStore {
	return middleware.NewRateLimiterMemoryStoreWithConfig(middleware.RateLimiterMemoryStoreConfig{
		Rate:      perSecond,
		Burst:     burst(perSecond, seconds),
		ExpiresIn: forgetTime,
	})
}

// allows reports whether a name may have one more, and counts it.
func allows(l *middleware.RateLimiterMemoryStore, name string) bool {
	ok, err := l.Allow(name)
	return ok && err == nil
}

func burst(perSecond rate.Limit, seconds float64) int {
	return int(max(1, min(float64(perSecond)*seconds, math.MaxInt32)))
}

// tooMany returns the answer past a limit, counts it under the limit's name, and logs it, at most once a second.
func (c *Chat) tooMany(ctx echo.Context, limit, what string) error {
	c.counts.reached(limit)
	r := refuse(codeRateLimited, what+"; try again in a second")
	if leftOut, ok := c.tooManyLines.OK(); ok {
		c.logRefusal(r, append(append(asker(ctx), "limit", limit), leftOut...)...)
	}
	ctx.Response().Header().Set(echo.HeaderRetryAfter, "1")
	return r.http()
}

// gate bounds the requests that pass at a time, in total and from each address. Others wait.
type gate struct {
	places    chan struct{} // holds one for each request inside
	ofAddress int

	mu        sync.Mutex
	addresses map[string]*queue
}

// queue is an address with requests that have a turn or wait for one.
type queue struct {
	places chan struct{}
	users  int
}

func newGate(all, ofAddress int) *gate {
	return &gate{places: make(chan struct{}, all), ofAddress: ofAddress, addresses: map[string]*queue{}}
}

// enter waits until one more request of the address may pass. If ctx ends first, the error is ctx's, or errAddressBusy
// if the address has as many turns as it may.
func (g *gate) enter(ctx context.Context, address string) (*turn, error) {
	q := g.join(address)
	select {
	case q.places <- struct{}{}:
	case <-ctx.Done():
		g.leave(address, q)
		return nil, errAddressBusy
	}
	select {
	case g.places <- struct{}{}:
	case <-ctx.Done():
		<-q.places
		g.leave(address, q)
		return nil, ctx.Err()
	}
	return &turn{g, address, q, false}, nil
}

// turn is a request's permission to pass.
type turn struct {
	gate    *gate
	address string
	queue   *queue
	passed  bool
}

// pass makes room for another request. The turn still counts for its address.
func (t *turn) pass() {
	if !t.passed {
		t.passed = true
		<-t.gate.places
	}
}

// end ends the turn.
func (t *turn) end() {
	t.pass()
	<-t.queue.places
	t.gate.leave(t.address, t.queue)
}

var errAddressBusy = errors.New("the address has reached its limit of turns")

func (g *gate) join(address string) *queue {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.addresses[address]
	if q == nil {
		q = &queue{places: make(chan struct{}, g.ofAddress)}
		g.addresses[address] = q
	}
	q.users++
	return q
}

func (g *gate) leave(address string, q *queue) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(g.addresses, address)
	}
}
