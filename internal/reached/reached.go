// Package reached collects echows_limits_reached_total, the metric that every package with limits counts into.
package reached

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// The name of the metric, and what it counts. Its label limit is the limit's name in docs/limits.md.
const (
	Name = "echows_limits_reached_total"
	Help = "Times that a limit refused or slowed a client."
)

// Desc describes the metric for one limit.
func Desc(limit string) *prometheus.Desc {
	return prometheus.NewDesc(Name, Help, nil, prometheus.Labels{"limit": limit})
}

// Limits is a prometheus.Collector of counters, by the names of their limits. It may not be changed once it is registered.
type Limits map[string]*atomic.Uint64

// Describe sends one description for each limit.
func (l Limits) Describe(to chan<- *prometheus.Desc) {
	for limit := range l {
		to <- Desc(limit)
	}
}

// Collect sends the current numbers.
func (l Limits) Collect(to chan<- prometheus.Metric) {
	for limit, n := range l {
		to <- prometheus.MustNewConstMetric(Desc(limit), prometheus.CounterValue, float64(n.Load()))
	}
}
