package chat

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"golang.org/x/time/rate"
)

const (
	patienceRate  = 10              // refused messages a second that a connection may go on with
	patienceBurst = 100             // and how many at once; past it the connection is closed
	forgetTime    = 2 * time.Minute // after so long without a request an address counts as new
)

// LimitSessions bounds the sessions that one address may begin.
func (c *Chat) LimitSessions() echo.MiddlewareFunc { return c.limit(c.config.Limits.Sessions) }

// LimitTickets bounds the tickets that one address may ask for.
func (c *Chat) LimitTickets() echo.MiddlewareFunc { return c.limit(c.config.Limits.Connects) }

// LimitReads bounds what one address may read by requests.
func (c *Chat) LimitReads() echo.MiddlewareFunc { return c.limit(c.config.Limits.Connects) }

// LimitUpgrades bounds the upgrades of one address, and its connections.
func (c *Chat) LimitUpgrades() echo.MiddlewareFunc {
	limit := c.limit(c.config.Limits.Connects)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return limit(func(ctx echo.Context) error {
			if c.sockets.full(addressOf(ctx)) {
				return tooMany(ctx, "this address has as many connections as it may")
			}
			return next(ctx)
		})
	}
}

func (c *Chat) limit(perSecond rate.Limit) echo.MiddlewareFunc {
	return middleware.RateLimiterWithConfig(middleware.RateLimiterConfig{
		Store: middleware.NewRateLimiterMemoryStoreWithConfig(middleware.RateLimiterMemoryStoreConfig{
			Rate:      perSecond,
			Burst:     burst(perSecond, 10),
			ExpiresIn: forgetTime,
		}),
		IdentifierExtractor: func(ctx echo.Context) (string, error) { return addressOf(ctx), nil },
		DenyHandler: func(ctx echo.Context, _ string, _ error) error {
			return tooMany(ctx, "too many requests from this address")
		},
	})
}

func burst(perSecond rate.Limit, seconds float64) int { return max(1, int(float64(perSecond)*seconds)) }

// tooMany is the answer past a limit.
func tooMany(ctx echo.Context, what string) error {
	ctx.Response().Header().Set(echo.HeaderRetryAfter, "1")
	return echo.NewHTTPError(http.StatusTooManyRequests, map[string]string{"code": codeRateLimited, "message": what + "; try again in a second"})
}

// addressOf is whom a limit counts: an address, or the network that one customer has in IPv6.
func addressOf(ctx echo.Context) string {
	addr, err := netip.ParseAddr(ctx.RealIP())
	if err != nil {
		return ctx.RealIP()
	}
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		network, _ := addr.Prefix(64) // fails only for more bits than there are
		return network.String()
	}
	return addr.String()
}

// addresses counts the connections of each address.
type addresses struct {
	most int

	mu    sync.Mutex
	count map[string]int
}

func (a *addresses) full(address string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count[address] >= a.most
}

// take counts one more connection, if there may be one more.
func (a *addresses) take(address string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count[address] >= a.most {
		return false
	}
	if a.count == nil {
		a.count = map[string]int{}
	}
	a.count[address]++
	return true
}

func (a *addresses) give(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count[address]--; a.count[address] <= 0 {
		delete(a.count, address)
	}
}
