// Package metrics is what /metrics answers with: the collectors of the program's packages, and those of the process, of Go
// and of the build. Each package declares its own, as a method Collector; this one knows none of them. Names follow
// https://prometheus.io/docs/practices/naming, and nothing has a label by room, user or address.
package metrics

import (
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"echows/settings"
)

// Handler answers a scrape with what the collectors have. It panics where two of them have the same metric, which no
// input from outside decides.
func Handler(all ...prometheus.Collector) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build(),
	)
	r.MustRegister(all...)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// maxScrapes is how many scrapes run at once; more are answered with 503.
const maxScrapes = 4

// build says which program this is.
func build() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "echows_build_info",
		Help:        "1, with the version and Go's as labels.",
		ConstLabels: prometheus.Labels{"version": settings.ModuleVersion(), "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}
