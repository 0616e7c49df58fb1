package chat

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"golang.org/x/time/rate"

	"echows/ws"
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

// LimitUpgrades bounds the upgrades of one address.
func (c *Chat) LimitUpgrades() echo.MiddlewareFunc { return c.limit(c.config.Limits.Connects) }

func (c *Chat) limit(perSecond rate.Limit) echo.MiddlewareFunc {
	return middleware.RateLimiterWithConfig(middleware.RateLimiterConfig{
		Store: middleware.NewRateLimiterMemoryStoreWithConfig(middleware.RateLimiterMemoryStoreConfig{
			Rate:      perSecond,
			Burst:     burst(perSecond, 10),
			ExpiresIn: forgetTime,
		}),
		IdentifierExtractor: func(ctx echo.Context) (string, error) { return ws.AddressOf(ctx), nil },
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
