package ws

import (
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/labstack/echo/v4"

	"echows/internal/share"
)

// admission counts connections, in total and by address.
type admission struct {
	most, ofAddress int           // 0 for no limit
	full            atomic.Uint64 // times that most was reached
	addressFull     atomic.Uint64 // times that ofAddress was reached

	mu        sync.Mutex // guards the rest
	all       int
	addresses map[string]int
}

var (
	errTooMany = echo.NewHTTPError(http.StatusServiceUnavailable, "the server has reached its limit of connections; try again in a moment")
	errAddress = echo.NewHTTPError(http.StatusTooManyRequests, "this address has reached its limit of connections; close some, or try again in a moment")
)

// checkLocked returns an error if one more connection of the address would exceed a limit, and counts it; mu is held.
func (a *admission) checkLocked(address string) error {
	switch {
	case a.most > 0 && a.all >= a.most:
		a.full.Add(1)
		return errTooMany
	case a.ofAddress > 0 && a.addresses[address] >= a.ofAddress:
		a.addressFull.Add(1)
		return errAddress
	}
	return nil
}

func (a *admission) check(address string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.checkLocked(address)
}

func (a *admission) take(address string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.checkLocked(address); err != nil {
		return err
	}
	a.all++
	if a.ofAddress > 0 {
		a.addresses[address]++
	}
	return nil
}

func (a *admission) give(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if a.ofAddress == 0 {
		return
	}
	if a.addresses[address]--; a.addresses[address] <= 0 {
		delete(a.addresses, address)
	}
}

// AddressOf returns the address that the limits per address count a request under: the one that the Echo server's
// IPExtractor finds, or, for IPv6, its /64 network, which is what one customer usually has. Set the IPExtractor: without
// one, Echo believes the header X-Forwarded-For, in which a client can write anything.
func AddressOf(c echo.Context) string {
	ip := c.RealIP()
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		network, _ := addr.Prefix(64) // cannot fail for an IPv6 address
		return network.String()
	}
	if text := addr.String(); text != ip {
		return text
	}
	return ip
}

// Admit counts a connection that is not a socket of the App, such as a client that polls, for Config.MaxSockets and
// MaxAddressSockets, until Dismiss is called with the same address, as AddressOf returns it. Past a limit it returns an
// error to log, and to answer the request with: an *echo.HTTPError with 503 or 429.
func (a *App) Admit(address string) error { return a.admitted.take(address) }

// Dismiss undoes Admit.
func (a *App) Dismiss(address string) { a.admitted.give(address) }

// logRefusal logs why a client was refused, once a second at most.
func (a *App) logRefusal(c echo.Context, why error) {
	if he, ok := why.(*echo.HTTPError); ok {
		if leftOut, ok := a.refusals.OK(); ok {
			a.log.Warn("connection refused", append([]any{requestID("id", c), "remote", c.Request().RemoteAddr, "path", c.Request().URL.Path,
				"status", he.Code, "reason", he.Message}, leftOut...)...)
		}
	}
}

// requestID returns, for the log, the request's id, or nothing unless the application's middleware sets X-Request-Id.
func requestID(key string, c echo.Context) slog.Attr {
	if id := c.Response().Header().Get(echo.HeaderXRequestID); id != "" {
		return slog.String(key, id)
	}
	return slog.Attr{}
}

// logOverflow logs, once a second at most, that a connection was closed because it needed more memory than
// Config.MaxBuffered leaves.
func (a *App) logOverflow(s *Socket) {
	limit := ""
	switch s.conn.Overflow() {
	case share.All:
		limit = "buffered"
	case share.Address:
		limit = "address_buffered"
	default:
		return
	}
	if leftOut, ok := a.overflows.OK(); ok {
		a.log.Warn("connection closed: too much is buffered", append([]any{"id", s.ID(), "remote", s.RemoteAddr(), "path", s.Path(), "limit", limit}, leftOut...)...)
	}
}
