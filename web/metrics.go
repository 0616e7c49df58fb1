package web

import (
	"github.com/prometheus/client_golang/prometheus"

	"echows/internal/reached"
)

// Collector returns a collector, for a prometheus.Registry, that counts how often each limit was reached.
func (c *Conns) Collector() prometheus.Collector {
	return reached.Limits{"http_connections": &c.full, "address_http_connections": &c.addressFull, "idle_http_connections": &c.idleClosed}
}

// Collector returns a collector, for a prometheus.Registry, that counts bodies that were late.
func (b *Bodies) Collector() prometheus.Collector {
	return reached.Limits{"body_time": &b.late}
}
