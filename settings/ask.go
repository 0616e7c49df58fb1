package settings

import (
	"net"
	"net/netip"
	"strconv"
)

// AskURL returns Ask's URL on a server with these settings on this machine.
func (set *Settings) AskURL() string {
	scheme, addr := "http", set.MetricsAddr
	if addr == "" {
		addr = set.Addr
		if set.TLS != (TLS{}) {
			scheme = "https"
		}
	}
	host, port, _ := net.SplitHostPort(addr) // cannot fail: check has done it
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "" || err == nil && ip.IsUnspecified() && ip.Is4():
		host = "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		host = "::1"
	}
	if number, err := net.LookupPort("tcp", port); err == nil { // of http, too
		port = strconv.Itoa(number)
	}
	return scheme + "://" + net.JoinHostPort(host, port) + set.Ask
}
