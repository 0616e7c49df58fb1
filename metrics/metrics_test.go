package metrics

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestHandlerHasTheGivenAndTheProcessMetrics(t *testing.T) {
	count := prometheus.NewCounter(prometheus.CounterOpts{Name: "echows_test_total", Help: "Tests."})
	count.Add(3)
	answer := httptest.NewRecorder()
	Handler(count).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{"echows_test_total 3\n", `promhttp_metric_handler_requests_total{code="503"} 0` + "\n", "\ngo_goroutines ", "\nprocess_", `echows_build_info{goversion="` + runtime.Version() + `",version="`, `"} 1` + "\n"} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%d, without %q", answer.Code, want)
		}
	}
	if answer.Code != http.StatusOK {
		t.Errorf("status %d", answer.Code)
	}
}
