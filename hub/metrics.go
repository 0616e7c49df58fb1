package hub

import "github.com/prometheus/client_golang/prometheus"

var (
	topicsDesc  = prometheus.NewDesc("echows_topics", "Topics with members on this node.", nil, nil)
	membersDesc = prometheus.NewDesc("echows_members", "Memberships of topics on this node.", nil, nil)
)

// Collector returns the Hub's metrics for a prometheus.Registry: echows_topics and echows_members. A scrape takes the
// Hub's lock for a moment, whatever the number of topics.
func (h *Hub) Collector() prometheus.Collector { return collector{h} }

type collector struct{ hub *Hub }

// Describe sends one description for each metric.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	to <- topicsDesc
	to <- membersDesc
}

// Collect sends the current numbers.
func (c collector) Collect(to chan<- prometheus.Metric) {
	c.hub.mu.Lock()
	topics, members := len(c.hub.topics), c.hub.members
	c.hub.mu.Unlock()
	to <- prometheus.MustNewConstMetric(topicsDesc, prometheus.GaugeValue, float64(topics))
	to <- prometheus.MustNewConstMetric(membersDesc, prometheus.GaugeValue, float64(members))
}
