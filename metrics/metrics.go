// Package metrics serves /metrics: the collectors of the program's packages, and those of the process, of Go and of the
// build. Each package declares its own, as a method Collector; this one knows none of them. Names follow
// https://prometheus.io/docs/practices/naming, and no label is a room, a user or an address.
package metrics

import (
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"echows/settings"
)

// Handler answers scrapes with the collectors' metrics. It panics if two collectors have the same metric, which no
// outside input can cause.
func Handler(all ...prometheus.Collector) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build(),
	)
	r.MustRegister(all...)
	return promhttp.InstrumentMetricHandler(r, promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes}))
}

// maxScrapes is how many scrapes may run at a time; more are answered with 503, and counted in
// promhttp_metric_handler_requests_total.
const maxScrapes = 4

// build says which program this is.
func build() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "echows_build_info",
		Help:        "Always 1, with the program's version and Go's as labels.",
		ConstLabels: prometheus.Labels{"version": settings.ModuleVersion(), "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}
