package main

import (
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
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
	r.MustRegister(prometheus.NewCounterFunc(
		prometheus.CounterOpts{Name: "echows_sockets_dropped_total", Help: "Sockets closed with 1013, because they did not read what was broadcast."},
		func() float64 { return float64(s.app.Stats().Dropped) },
	))
	return echo.WrapHandler(promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
}
