package main

import (
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"echows/ws"
)

// metrics answers with what Prometheus asks for: the process, the runtime, and what is counted here.
func metrics(s *server) echo.HandlerFunc {
	r := prometheus.NewRegistry()
	gauge := func(name, help string, value func() int) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) }))
	}
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge("echows_sockets", "WebSockets that are open.", s.app.Len)
	gauge("echows_chat_rooms", "Chat rooms that are open on this node.", s.chat.Rooms)
	gauge("echows_topics", "Topics with members on this node.", s.hub.Topics)
	gauge("echows_socketio_sessions", "Engine.IO sessions, by long-polling or WebSocket.", s.io.Sessions)
	gauge("echows_buffered_bytes", "Bytes of messages that have arrived in part, and of frames that wait to be sent.", func() int { return int(s.app.Stats().Buffered) })
	counter := func(name, help string, value func(ws.Stats) uint64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value(s.app.Stats())) }))
	}
	counter("echows_sockets_dropped_total", "Sockets closed with 1013, because their peers did not read.", func(n ws.Stats) uint64 { return n.Dropped })
	counter("echows_connections_refused_total", "Connections refused because there were as many as there may be, in all or of one address.", func(n ws.Stats) uint64 { return n.Refused })
	counter("echows_messages_slowed_total", "Messages that waited because their connection sent too many a second.", func(n ws.Stats) uint64 { return n.Slowed })
	counter("echows_buffers_full_total", "Times that a connection was refused more memory, because all together had as much as they may.", func(n ws.Stats) uint64 { return n.Full })
	return echo.WrapHandler(promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
}
