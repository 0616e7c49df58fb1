package ws

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"echows/internal/reached"
)

// metrics is what an App counts besides what its routes, its connections and its limits count.
type metrics struct {
	handling *prometheus.HistogramVec // by route
	closes   [len(closeCodes)]atomic.Uint64
	refused  [len(refusalReasons)]atomic.Uint64
}

// measuredOf says that one message in 64 of a connection is measured: reading the clock twice costs more than a small
// message's callback.
const measuredOf = 64

// closeCodes are the labels of echows_closes_total: the codes that this program sends, and those that clients usually do. The
// last one is for all other codes, of which a client may choose any.
var closeCodes = [...]string{"1000", "1001", "1002", "1003", "1005", "1006", "1007", "1008", "1009", "1011", "1012", "1013", "other"}

func (m *metrics) countClose(code CloseCode) {
	text, other := strconv.Itoa(int(code)), len(closeCodes)-1
	for i, known := range closeCodes {
		if known == text || i == other {
			m.closes[i].Add(1)
			return
		}
	}
}

// refusalReason says why a request to a route was answered over HTTP instead of upgraded.
type refusalReason int

const (
	refusedByMiddleware refusalReason = iota // the request did not reach the route itself
	refusedByOrigin
	refusedByVersion
	refusedByKey
	refusedByMethod // the request is not a handshake: not a GET, or without Upgrade: websocket
	refusedByLimit
	refusedByShutdown
	refusedByOther
)

// refusalReasons are the labels of echows_upgrades_refused_total.
var refusalReasons = [...]string{"middleware", "origin", "version", "key", "method", "limit", "shutdown", "other"}

var (
	websocketOnly = prometheus.Labels{"transport": "websocket"}

	connectionsDesc      = prometheus.NewDesc("echows_connections", "Connections that are open.", []string{"route"}, websocketOnly)
	connectionsTotalDesc = prometheus.NewDesc("echows_connections_total", "Connections that were opened.", []string{"route"}, websocketOnly)
	receivedDesc         = prometheus.NewDesc("echows_messages_received_total", "Messages received on WebSockets.", []string{"route"}, nil)
	sentDesc             = prometheus.NewDesc("echows_messages_sent_total", "Messages sent on WebSockets, or queued to be sent.", []string{"route"}, nil)
	receivedBytesDesc    = prometheus.NewDesc("echows_received_bytes_total", "Bytes of the messages received on WebSockets, without headers and decompressed.", []string{"route"}, nil)
	sentBytesDesc        = prometheus.NewDesc("echows_sent_bytes_total", "Bytes of the messages sent on WebSockets, or queued to be sent, before compression.", []string{"route"}, nil)
	bufferedDesc         = prometheus.NewDesc("echows_buffered_bytes", "Bytes of incomplete messages on WebSockets, and of frames waiting to be sent.", nil, nil)
	slowDesc             = prometheus.NewDesc("echows_slow_closed_total", "Connections closed because their clients did not read.", nil, websocketOnly)
	silentDesc           = prometheus.NewDesc("echows_silent_closed_total", "Connections closed because their clients sent nothing, not even pongs.", nil, websocketOnly)
	closesDesc           = prometheus.NewDesc("echows_closes_total", "WebSockets that ended, by close code.", []string{"code"}, nil)
	refusedDesc          = prometheus.NewDesc("echows_upgrades_refused_total", "Requests to a WebSocket route that were answered over HTTP instead of upgraded.", []string{"reason"}, nil)

	socketsLimitDesc        = reached.Desc("sockets")
	addressSocketsLimitDesc = reached.Desc("address_sockets")
	messageRateLimitDesc    = reached.Desc("message_rate")
	bufferedLimitDesc       = reached.Desc("buffered")
	addressBufferedDesc     = reached.Desc("address_buffered")
)

func newHandling() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "echows_message_handling_seconds",
		Help:    "Time taken by the callback of a message on a WebSocket; one message in 64 is measured.",
		Buckets: []float64{.0001, .001, .01, .1, 1, 10},
	}, []string{"route"})
}

// Collector returns the App's metrics for a prometheus.Registry. Each scrape takes a snapshot; between scrapes the metrics
// cost a connection an addition for each read and each write. The label route is the path that the route was registered
// with. Two Apps in one registry need a label to tell them apart: see prometheus.WrapRegistererWith.
func (a *App) Collector() prometheus.Collector { return collector{a} }

type collector struct{ app *App }

// Describe sends one description for each metric.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		connectionsDesc, connectionsTotalDesc, receivedDesc, sentDesc, receivedBytesDesc, sentBytesDesc, bufferedDesc, slowDesc,
		silentDesc, closesDesc, refusedDesc,
		socketsLimitDesc, addressSocketsLimitDesc, messageRateLimitDesc, bufferedLimitDesc, addressBufferedDesc,
	} {
		to <- d
	}
	c.app.metrics.handling.Describe(to)
}

// Collect sends the current numbers.
func (c collector) Collect(to chan<- prometheus.Metric) {
	a := c.app
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	for path, r := range a.routes {
		if path != r.key {
			continue // the same route, with a slash
		}
		gauge(connectionsDesc, float64(r.Len()), r.path)
		counter(connectionsTotalDesc, r.opened.Load(), r.path)
		t := r.counters.Traffic()
		counter(receivedDesc, t.Received, r.path)
		counter(sentDesc, t.Sent, r.path)
		counter(receivedBytesDesc, t.ReceivedBytes, r.path)
		counter(sentBytesDesc, t.SentBytes, r.path)
	}
	a.metrics.handling.Collect(to)
	gauge(bufferedDesc, float64(a.engine.Buffers.Used()))
	counter(slowDesc, a.engine.Slow())
	counter(silentDesc, a.engine.Silent())
	for i, code := range closeCodes {
		counter(closesDesc, a.metrics.closes[i].Load(), code)
	}
	for i, reason := range refusalReasons {
		counter(refusedDesc, a.metrics.refused[i].Load(), reason)
	}
	counter(socketsLimitDesc, a.admitted.full.Load())
	counter(addressSocketsLimitDesc, a.admitted.addressFull.Load())
	counter(messageRateLimitDesc, a.slowed.Load())
	full, addressFull := a.engine.Buffers.Refused()
	counter(bufferedLimitDesc, full)
	counter(addressBufferedDesc, addressFull)
}
