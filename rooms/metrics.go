package rooms

import (
	"github.com/prometheus/client_golang/prometheus"

	"echows/internal/reached"
)

// Collector returns a collector, for a prometheus.Registry, that counts how often each limit was reached.
func (s *Served) Collector() prometheus.Collector {
	return reached.Limits{
		"visitor_events":         &s.limits.ofVisitor,
		"address_visitor_events": &s.limits.ofNetwork,
		"visitor_rooms":          &s.limits.rooms,
	}
}
