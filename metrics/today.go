package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"echows/chat"
	"echows/hub"
	"echows/socketio"
	"echows/ws"
)

// Today are the collectors of the packages that declare none themselves yet.
func Today(app *ws.App, topics *hub.Hub, rooms *chat.Chat, io *socketio.Server) (all []prometheus.Collector) {
	gauge := func(name, help string, value func() int) {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) }))
	}
	gauge("echows_sockets", "WebSockets that are open.", app.Len)
	gauge("echows_chat_rooms", "Chat rooms that are open on this node.", rooms.Rooms)
	gauge("echows_archive_gaps", "Ranges of sequences whose messages are missing in the database.", func() int { return rooms.Archive().Gaps })
	gauge("echows_archive_missing_messages", "Messages that are missing in the database, at most.", func() int { return int(rooms.Archive().Missing) })
	gauge("echows_archive_behind_seconds", "For so long a message has been waiting to be copied into the database.", func() int { return int(rooms.Archive().Behind.Seconds()) })
	gauge("echows_topics", "Topics with members on this node.", topics.Topics)
	gauge("echows_socketio_sessions", "Engine.IO sessions, by long-polling or WebSocket.", io.Sessions)
	events := func(name, help string, value func(socketio.Stats) uint64) {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value(io.Stats())) }))
	}
	events("echows_socketio_sessions_total", "Engine.IO sessions that began.", func(n socketio.Stats) uint64 { return n.Engine.Opened })
	events("echows_socketio_upgrades_total", "Sessions that went over from long-polling to a WebSocket.", func(n socketio.Stats) uint64 { return n.Engine.Upgraded })
	events("echows_socketio_requests_refused_total", "Requests that no session took.", func(n socketio.Stats) uint64 { return n.Engine.Refused })
	events("echows_socketio_slow_closed_total", "Sessions ended because their clients did not read, or poll.", func(n socketio.Stats) uint64 { return n.Engine.SlowClosed })
	events("echows_socketio_silent_closed_total", "Sessions ended because nothing came of their clients.", func(n socketio.Stats) uint64 { return n.Engine.Silent })
	events("echows_socketio_connects_refused_total", "CONNECTs to a namespace that were refused.", func(n socketio.Stats) uint64 { return n.Refused })
	events("echows_socketio_recovered_total", "Sockets that came back as the same.", func(n socketio.Stats) uint64 { return n.Recovered })
	events("echows_socketio_not_recovered_total", "Sockets that wanted to come back, and could not.", func(n socketio.Stats) uint64 { return n.Lost })
	events("echows_socketio_cluster_failures_total", "Messages that did not reach the other nodes, or came from them damaged.", func(n socketio.Stats) uint64 { return n.Failed })
	gauge("echows_buffered_bytes", "Bytes of messages that have arrived in part, and of frames that wait to be sent.", func() int { return int(app.Stats().Buffered) })
	counter := func(name, help string, value func(ws.Stats) uint64) {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value(app.Stats())) }))
	}
	counter("echows_sockets_dropped_total", "Sockets closed with 1013, because their peers did not read.", func(n ws.Stats) uint64 { return n.Dropped })
	counter("echows_connections_refused_total", "Connections refused because there were as many as there may be, in all or of one address.", func(n ws.Stats) uint64 { return n.Refused })
	counter("echows_messages_slowed_total", "Messages that waited because their connection sent too many a second.", func(n ws.Stats) uint64 { return n.Slowed })
	counter("echows_buffers_full_total", "Times that a connection was refused more memory, because all together had as much as they may.", func(n ws.Stats) uint64 { return n.Full })
	return all
}
