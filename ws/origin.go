package ws

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// CheckOrigin returns an error that says why pages of the request's origin may not use this server, or nil. It is for
// other requests that should follow Config.Origins (RFC 6455 section 10.2).
func (a *App) CheckOrigin(r *http.Request) error { return a.judgeOrigin(r, a.config.Origins) }

// judgeOrigin accepts scripts, which send no Origin, pages of the host itself, and those on the allow
// list (RFC 6455 section 10.2).
func (a *App) judgeOrigin(r *http.Request, allowed []string) error {
	values := r.Header["Origin"]
	if len(values) == 0 || slices.Contains(allowed, "*") {
		return nil
	}
	if len(values) > 1 {
		return errors.New("a request may have only one Origin")
	}
	origin := readOrigin(values[0])
	if origin == nil {
		return foreign(values[0])
	}
	if isAmong(allowed, origin) {
		return nil
	}
	secure, host := a.seenAs(r)
	switch origin.Scheme { // Go's clients send their own URL, which no page can
	case "ws":
		origin.Scheme = "http"
	case "wss":
		origin.Scheme = "https"
	}
	switch {
	case origin.Scheme != "http" && origin.Scheme != "https":
		return foreign(values[0])
	case secure && origin.Scheme == "http" && sameHost("https", stripPort(origin.Host), stripPort(host)):
		return fmt.Errorf("the page of %s was loaded over http:, but this server uses https:; open it over https: instead", values[0])
	case !sameHost(origin.Scheme, origin.Host, host):
		if stripPort(host) == host && strings.EqualFold(stripPort(origin.Host), host) {
			return fmt.Errorf("the page is from %s, but the request names the host %s: a proxy in between drops the port; in nginx, write proxy_set_header Host $http_host", values[0], host)
		}
		return foreign(values[0])
	case len(a.config.Hosts) > 0 && !slices.ContainsFunc(a.config.Hosts, func(own string) bool { return sameHost(origin.Scheme, own, host) }):
		return fmt.Errorf("%s is not one of this server's hosts; to accept it, add it to the server's list of hosts", host)
	}
	return nil
}

// AllowsOrigin reports whether a list such as Config.Origins has an origin, by CheckOrigin's rules. It is for the header
// Access-Control-Allow-Origin.
func AllowsOrigin(allowed []string, origin string) bool {
	if slices.Contains(allowed, "*") {
		return true
	}
	o := readOrigin(origin)
	return o != nil && isAmong(allowed, o)
}

// readOrigin parses the value of an Origin header; nil means that it names no host.
func readOrigin(value string) *url.URL {
	origin, err := url.Parse(value)
	if err != nil || origin.Host == "" || origin.User != nil {
		return nil
	}
	return origin
}

// isAmong reports whether the list has the origin by name.
func isAmong(allowed []string, origin *url.URL) bool {
	return slices.ContainsFunc(allowed, func(one string) bool {
		o, err := parseOrigin(one)
		return err == nil && o.Scheme == origin.Scheme && sameHost(o.Scheme, o.Host, origin.Host)
	})
}

func foreign(origin string) error {
	return fmt.Errorf("pages of origin %q may not connect here; to accept them, add the origin to the server's list of allowed origins", origin)
}

// IsSecure reports whether the client connected over TLS: to this server, or to a trusted proxy in front of it.
func (a *App) IsSecure(r *http.Request) bool {
	secure, _ := a.seenAs(r)
	return secure
}

// seenAs returns how the request's client sees the server: over TLS or not, and under which host. A trusted
// proxy knows better than we do.
func (a *App) seenAs(r *http.Request) (secure bool, host string) {
	secure, host = r.TLS != nil, r.Host
	if !a.isTrusted(r.RemoteAddr) {
		return secure, host
	}
	if proto := last(r.Header.Values("X-Forwarded-Proto")); proto != "" {
		secure = strings.EqualFold(proto, "https") || strings.EqualFold(proto, "wss")
	}
	if forwarded := last(r.Header.Values("X-Forwarded-Host")); forwarded != "" {
		host = forwarded
	}
	return secure, host
}

// last returns the last entry of a header's list: the one that the proxy next to us added.
func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	list := values[len(values)-1]
	return strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:])
}

func (a *App) isTrusted(remote string) bool {
	if len(a.config.TrustedProxies) == 0 {
		return false
	}
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(a.config.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(at.Addr().Unmap()) })
}

// ParseOrigin returns an error that says what is wrong with an entry for Config.Origins, or nil.
func ParseOrigin(s string) error {
	if s == "*" {
		return nil
	}
	_, err := parseOrigin(s)
	return err
}

func parseOrigin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("ws: %q is not an origin such as https://example.com", s)
	}
	return u, nil
}

// ParseHost returns an error that says what is wrong with an entry for Config.Hosts, or nil.
func ParseHost(s string) error {
	if u, err := url.Parse("http://" + s); err != nil || s == "" || u.Host != s {
		return fmt.Errorf("ws: %q is not a host such as example.com or localhost:3000", s)
	}
	return nil
}

// sameHost compares hosts with their ports; the scheme's default port may be left out.
func sameHost(scheme, a, b string) bool {
	return strings.EqualFold(withoutDefaultPort(scheme, a), withoutDefaultPort(scheme, b))
}

func withoutDefaultPort(scheme, host string) string {
	switch scheme {
	case "http":
		return strings.TrimSuffix(host, ":80")
	case "https":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}

func stripPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}
