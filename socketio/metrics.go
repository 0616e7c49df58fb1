package socketio

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"echows/internal/reached"
)

// Collector returns a collector of the Server's metrics for Prometheus, which reads Stats at each scrape. No label tells
// the metrics of two Servers apart, so a registry accepts the collector of only one Server.
func (s *Server) Collector() prometheus.Collector { return collector{s} }

type collector struct{ server *Server }

// metric is one number of Stats.
type metric struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	routed bool // has the label route
	value  func(Stats) uint64
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue

	recoveryHelp = "Sockets that asked to be recovered, by whether they were."
	silentHelp   = "Connections closed because their clients sent nothing, not even pongs."
)

// metrics are the Server's metrics. Those with the label transport have the same names as in package ws. They count clients
// that ws cannot see: clients that poll, and silent Socket.IO WebSockets, because the Engine.IO session pings these.
var metrics = append([]metric{
	routed("polling", gauge, "echows_connections", "Connections that are open.", func(n Stats) uint64 { return uint64(n.Engine.Polling) }),
	routed("polling", counter, "echows_connections_total", "Connections that were opened.", func(n Stats) uint64 { return n.Engine.OpenedPolling }),
	labelled("transport", "polling", "echows_slow_closed_total", "Connections closed because their clients did not read.", func(n Stats) uint64 { return n.Engine.SlowPolling }),
	labelled("transport", "polling", "echows_silent_closed_total", silentHelp, func(n Stats) uint64 { return n.Engine.SilentPolling }),
	labelled("transport", "socketio_websocket", "echows_silent_closed_total", silentHelp, func(n Stats) uint64 { return n.Engine.Silent - n.Engine.SilentPolling }),

	plainly(gauge, "echows_socketio_sessions", "Engine.IO sessions, by long-polling or WebSocket.", func(n Stats) uint64 { return uint64(n.Engine.Sessions) }),
	plainly(counter, "echows_socketio_polling_received_bytes_total", "Bytes received from clients that poll: the bodies of their POSTs.", func(n Stats) uint64 { return n.Engine.ReceivedBytes }),
	plainly(counter, "echows_socketio_polling_sent_bytes_total", "Bytes sent to clients that poll, in the answers to their GETs.", func(n Stats) uint64 { return n.Engine.SentBytes }),
	plainly(gauge, "echows_socketio_buffered_bytes", "Bytes of requests, of packets waiting to be polled, and of answers, beyond 16 KiB of each.", func(n Stats) uint64 { return uint64(n.Engine.Buffered) }),
	plainly(gauge, "echows_socketio_partial_bytes", "Bytes of packets waiting for their attachments, beyond 16 KiB of each.", func(n Stats) uint64 { return uint64(n.Partial) }),
	plainly(counter, "echows_socketio_sessions_total", "Engine.IO sessions that began.", func(n Stats) uint64 { return n.Engine.Opened }),
	plainly(counter, "echows_socketio_upgrades_total", "Sessions that upgraded from long-polling to a WebSocket.", func(n Stats) uint64 { return n.Engine.Upgraded }),
	plainly(counter, "echows_socketio_requests_refused_total", "Requests that no session accepted.", func(n Stats) uint64 { return n.Engine.Refused }),
	plainly(gauge, "echows_socketio_sockets", "Sockets that are connected to namespaces on this node.", func(n Stats) uint64 { return uint64(n.Sockets) }),
	plainly(counter, "echows_socketio_connects_refused_total", "CONNECTs to a namespace that were refused.", func(n Stats) uint64 { return n.Refused }),
	plainly(counter, "echows_socketio_disconnects_total", "Sockets that the server disconnected.", func(n Stats) uint64 { return n.Disconnected }),
	plainly(counter, "echows_socketio_events_received_total", "Events received from clients.", func(n Stats) uint64 { return n.Received }),
	plainly(counter, "echows_socketio_events_sent_total", "Events queued to be sent, counted once for each socket.", func(n Stats) uint64 { return n.Sent }),
	labelled("result", "hit", "echows_socketio_recoveries_total", recoveryHelp, func(n Stats) uint64 { return n.Recovered }),
	labelled("result", "miss", "echows_socketio_recoveries_total", recoveryHelp, func(n Stats) uint64 { return n.Lost }),
	plainly(counter, "echows_socketio_cluster_failures_total", "Messages that did not reach the other nodes, or arrived from them damaged.", func(n Stats) uint64 { return n.Failed }),

	labelled("limit", "address_events", reached.Name, reached.Help, func(n Stats) uint64 { return n.Engine.Slowed }),
	labelled("limit", "socketio_sessions", reached.Name, reached.Help, func(n Stats) uint64 { return n.Engine.NoMore }),
	labelled("limit", "socketio_buffered", reached.Name, reached.Help, func(n Stats) uint64 { return n.Engine.NoMemory }),
	labelled("limit", "socketio_address_buffered", reached.Name, reached.Help, func(n Stats) uint64 { return n.Engine.NoAddressMemory }),
	labelled("limit", "socketio_packets", reached.Name, reached.Help, func(n Stats) uint64 { return n.Engine.ManyPackets }),
	labelled("limit", "socketio_upgrade_time", reached.Name, reached.Help, func(n Stats) uint64 { return n.Engine.LateUpgrades }),
	labelled("limit", "socketio_payload", reached.Name, reached.Help, func(n Stats) uint64 { return n.Engine.TooLong }),
}, ofLimits()...)

// ofLimits returns the metrics of Limits.
func ofLimits() (all []metric) {
	for l, name := range limitNames {
		all = append(all, labelled("limit", "socketio_"+name, reached.Name, reached.Help, func(n Stats) uint64 { return n.reached[l] }))
	}
	return all
}

func plainly(kind prometheus.ValueType, name, help string, value func(Stats) uint64) metric {
	return metric{prometheus.NewDesc(name, help, nil, nil), kind, false, value}
}

// labelled returns a counter with a constant label.
func labelled(label, is, name, help string, value func(Stats) uint64) metric {
	return metric{prometheus.NewDesc(name, help, nil, prometheus.Labels{label: is}), counter, false, value}
}

func routed(transport string, kind prometheus.ValueType, name, help string, value func(Stats) uint64) metric {
	return metric{prometheus.NewDesc(name, help, []string{"route"}, prometheus.Labels{"transport": transport}), kind, true, value}
}

func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range metrics {
		to <- m.desc
	}
	c.server.engine.Handling().Describe(to)
}

func (c collector) Collect(to chan<- prometheus.Metric) {
	now := c.server.Stats()
	for _, m := range metrics {
		var labels []string
		if m.routed {
			labels = []string{c.server.config.Path}
		}
		to <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.value(now)), labels...)
	}
	c.server.engine.Handling().Collect(to)
}

// tally is a counter for many connections at the same time. It has parts, so that connections seldom contend for one cache
// line.
type tally struct {
	parts [8]struct {
		n atomic.Uint64
		_ [56]byte // the rest of a cache line
	}
}

// of adds n for a socket, whose id selects the part.
func (t *tally) of(s *Socket, n int) {
	t.parts[int(s.id[len(s.id)-1])%len(t.parts)].n.Add(uint64(n))
}

// many adds n for many sockets together.
func (t *tally) many(n int) { t.parts[0].n.Add(uint64(n)) }

func (t *tally) sum() (total uint64) {
	for i := range t.parts {
		total += t.parts[i].n.Load()
	}
	return total
}
