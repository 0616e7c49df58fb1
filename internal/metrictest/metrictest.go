// Package metrictest reads metrics in tests.
package metrictest

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Value returns a metric's value, or how many observations a histogram has, as Prometheus would get it from the
// collector. Labels are alternating names and values that the metric must have; it may have others, too. A missing
// metric fails the test.
func Value(t testing.TB, c prometheus.Collector, name string, labels ...string) float64 {
	t.Helper()
	value, ok := find(t, c, name, labels)
	if !ok {
		t.Fatalf("there is no metric %s %v", name, labels)
	}
	return value
}

// Has reports whether there is such a metric.
func Has(t testing.TB, c prometheus.Collector, name string, labels ...string) bool {
	t.Helper()
	_, ok := find(t, c, name, labels)
	return ok
}

func find(t testing.TB, c prometheus.Collector, name string, labels []string) (value float64, ok bool) {
	t.Helper()
	r := prometheus.NewPedanticRegistry() // checks that everything collected was described
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			has := map[string]string{}
			for _, label := range m.GetLabel() {
				has[label.GetName()] = label.GetValue()
			}
			matches := true
			for i := 0; i < len(labels); i += 2 {
				matches = matches && has[labels[i]] == labels[i+1]
			}
			if matches {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()), true
			}
		}
	}
	return 0, false
}
