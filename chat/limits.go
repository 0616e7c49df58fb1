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
	patienceRate  = 10              // messages refused unread, a second, that a connection may go on with
	patienceBurst = 100             // and how many at once; past it the connection is closed
	patienceSize  = maxPost         // bytes of a message that count as one more
	forgetTime    = 2 * time.Minute // after so long without a request an address, or a session, counts as new

	answersAtOnce  = 64              // answers with older messages that are read or written at once
	addressAnswers = 8               // and those of one address
	answerPatience = 5 * time.Second // that one waits for its turn
)

// LimitSessions bounds the sessions that one address may begin.
func (c *Chat) LimitSessions() echo.MiddlewareFunc {
	return c.limit(limitSessions, c.config.Limits.Sessions)
}

// LimitTickets bounds the tickets that one address may ask for.
func (c *Chat) LimitTickets() echo.MiddlewareFunc {
	return c.limit(limitConnects, c.config.Limits.Connects)
}

// LimitReads bounds what one address may read by requests.
func (c *Chat) LimitReads() echo.MiddlewareFunc {
	return c.limit(limitReads, c.config.Limits.Connects)
}

// LimitUpgrades bounds the upgrades of one address.
func (c *Chat) LimitUpgrades() echo.MiddlewareFunc {
	return c.limit(limitConnects, c.config.Limits.Connects)
}

// limit bounds the requests of each address, and counts those that are refused under a name.
func (c *Chat) limit(name string, perSecond rate.Limit) echo.MiddlewareFunc {
	return middleware.RateLimiterWithConfig(middleware.RateLimiterConfig{
		Store:               limiter(perSecond, 10),
		IdentifierExtractor: func(ctx echo.Context) (string, error) { return ws.AddressOf(ctx), nil },
		DenyHandler: func(ctx echo.Context, _ string, _ error) error {
			return c.tooMany(ctx, name, "too many requests from this address")
		},
	})
}

// limiter bounds what comes of each address, or of whatever else has a name: so many a second, and at once as many as in
// some seconds. It forgets who does not come any more.
func limiter(perSecond rate.Limit, seconds float64) *middleware.RateLimiterMemoryStore {
	return middleware.NewRateLimiterMemoryStoreWithConfig(middleware.RateLimiterMemoryStoreConfig{
		Rate:      perSecond,
		Burst:     burst(perSecond, seconds),
		ExpiresIn: forgetTime,
	})
}

// allows reports whether one more may come.
func allows(l *middleware.RateLimiterMemoryStore, name string) bool {
	ok, err := l.Allow(name)
	return ok && err == nil
}

func burst(perSecond rate.Limit, seconds float64) int {
	return int(max(1, min(float64(perSecond)*seconds, math.MaxInt32)))
}

// tooMany is the answer past a limit, which is counted under its name.
func (c *Chat) tooMany(ctx echo.Context, limit, what string) error {
	c.counts.reached(limit)
	ctx.Response().Header().Set(echo.HeaderRetryAfter, "1")
	return refuse(codeRateLimited, what+"; try again in a second").http()
}

// gate lets some through at once, and of each address a part of them. Who comes later waits.
type gate struct {
	places    chan struct{} // holds one for each who is through
	ofAddress int

	mu        sync.Mutex
	addresses map[string]*queue
}

// queue is an address with somebody who is through, or waits.
type queue struct {
	places chan struct{}
	users  int
}

func newGate(all, ofAddress int) *gate {
	return &gate{places: make(chan struct{}, all), ofAddress: ofAddress, addresses: map[string]*queue{}}
}

// enter waits until one more of the address may go through, and returns what ends that. An error is of ctx: it is
// errAddressBusy where others of the address are why.
func (g *gate) enter(ctx context.Context, address string) (leave func(), err error) {
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
	return func() {
		<-g.places
		<-q.places
		g.leave(address, q)
	}, nil
}

var errAddressBusy = errors.New("others of the address are in the way")

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
