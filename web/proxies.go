package web

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"echows/ws"
)

// ClientAddress returns a function that finds the address of a request's client, for limits: the connection's own or, if
// that is a proxy's, the last address in X-Forwarded-For that is not a proxy's.
func ClientAddress(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, proxy := range proxies {
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP:   proxy.Addr().AsSlice(),
			Mask: net.CIDRMask(proxy.Bits(), proxy.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// StaySecure makes browsers that use https: keep using it for a month (HSTS, RFC 6797).
func StaySecure(app *ws.App) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if r := c.Request(); app.IsSecure(r) && !isLocalhost(r.Host) { // other servers on localhost use http:
				c.Response().Header().Set(echo.HeaderStrictTransportSecurity, "max-age=2592000")
			}
			return next(c)
		}
	}
}

// isLocalhost reports whether a Host header names localhost, on any port.
func isLocalhost(host string) bool {
	return strings.EqualFold((&url.URL{Host: host}).Hostname(), "localhost")
}
