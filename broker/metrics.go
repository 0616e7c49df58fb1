package broker

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"echows/internal/reached"
)

// stores counts the results of Log.Append, which waits for a disk: counting costs nothing compared to that.
type stores struct {
	stored  atomic.Uint64
	failed  atomic.Uint64
	seconds prometheus.Histogram
}

func newStores() *stores {
	return &stores{seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "echows_broker_store_seconds",
		Help:    "Time taken to store a message, if it was stored.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	})}
}

// isStored counts a stored message, and the time since it was appended.
func (s *stores) isStored(since time.Time) {
	s.stored.Add(1)
	s.seconds.Observe(time.Since(since).Seconds())
}

var (
	descUp         = prometheus.NewDesc("echows_broker_up", "1 while messages can be stored.", nil, nil)
	descLag        = prometheus.NewDesc("echows_broker_lag_messages", "Messages that are stored but not yet delivered to this node's rooms.", nil, nil)
	descReconnects = prometheus.NewDesc("echows_broker_reconnects_total", "Times that the connection to NATS was lost and established again.", nil, nil)
	descStored     = prometheus.NewDesc("echows_broker_stored_total", "Messages that were stored.", nil, nil)
	descFailed     = prometheus.NewDesc("echows_broker_store_failures_total", "Messages that could not be stored.", nil, nil)
)

// limits returns how often each limit was reached.
func (b *Broker) limits() reached.Limits {
	return reached.Limits{"node_messages": &b.full, "journal": &b.crowded, "unread": &b.unread}
}

// Collector returns the Broker's metrics. A scrape asks no server: it reports what this process knows, which is at most
// Config.Compare old. It may be collected until Close.
func (b *Broker) Collector() prometheus.Collector { return collector{b} }

type collector struct{ broker *Broker }

func (c collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descUp, descLag, descReconnects, descStored, descFailed, c.broker.stores.seconds.Desc()} {
		descs <- d
	}
	c.broker.limits().Describe(descs)
}

func (c collector) Collect(metrics chan<- prometheus.Metric) {
	b := c.broker
	up := 0.0
	if b.takes() {
		up = 1
	}
	lag := 0
	for _, l := range b.allLogs() {
		lag += l.lag()
	}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	metrics <- prometheus.MustNewConstMetric(descUp, gauge, up)
	metrics <- prometheus.MustNewConstMetric(descLag, gauge, float64(lag))
	metrics <- prometheus.MustNewConstMetric(descReconnects, counter, float64(b.conn.Stats().Reconnects))
	metrics <- prometheus.MustNewConstMetric(descStored, counter, float64(b.stores.stored.Load()))
	metrics <- prometheus.MustNewConstMetric(descFailed, counter, float64(b.stores.failed.Load()))
	metrics <- b.stores.seconds
	b.limits().Collect(metrics)
}

// takes reports whether messages can be stored, as far as that is known without asking. Ready asks.
func (b *Broker) takes() bool {
	if !b.up.Load() || b.folderFailure() != nil {
		return false
	}
	for _, l := range b.allLogs() {
		if !l.answers.Load() || l.refuses.Load() || l.recentFailure() != nil {
			return false
		}
	}
	return true
}

func (b *Broker) allLogs() []*Log {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.logs // never changed, only appended to
}

// lag returns how many messages are waiting to be delivered to this node's followers.
func (l *Log) lag() int {
	n := len(l.live.subs.queue)
	for _, f := range l.allFollowers() {
		n += f.lag()
	}
	return n
}

// lag returns how many entries are known to exist but not delivered: at least one, until the stream has said how many.
func (f *Follower) lag() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || f.want <= f.cursor {
		return 0
	}
	return max(int(f.missing.Load()), 1)
}
