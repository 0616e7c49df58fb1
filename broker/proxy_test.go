package broker

import (
	"strings"
	"testing"

	"echows/internal/proxytest"
)

// proxy stands between a Broker and its server.
type proxy struct{ *proxytest.Proxy }

func startProxy(t testing.TB, to string) proxy {
	t.Helper()
	return proxy{proxytest.Start(t, strings.TrimPrefix(to, "nats://"))}
}

func (p proxy) url() string { return "nats://" + p.Addr() }
