package web

import "github.com/prometheus/client_golang/prometheus"

var (
	connsLimitDesc        = limitDesc("http_connections")
	addressConnsLimitDesc = limitDesc("address_http_connections")
)

func limitDesc(limit string) *prometheus.Desc {
	return prometheus.NewDesc("echows_limits_reached_total", "Times that a limit refused or slowed a client.", nil, prometheus.Labels{"limit": limit})
}

// Collector returns a collector, for a prometheus.Registry, that counts how often each limit was reached.
func (c *Conns) Collector() prometheus.Collector { return collector{c} }

type collector struct{ conns *Conns }

// Describe sends one description for each metric.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	to <- connsLimitDesc
	to <- addressConnsLimitDesc
}

// Collect sends the current numbers.
func (c collector) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(connsLimitDesc, prometheus.CounterValue, float64(c.conns.full.Load()))
	to <- prometheus.MustNewConstMetric(addressConnsLimitDesc, prometheus.CounterValue, float64(c.conns.addressFull.Load()))
}
