package tests

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"echows/internal/programtest"
)

// elsewhere lists metrics that the server of this test does not serve, or that Prometheus itself adds.
var elsewhere = []string{"echows_archive_up", "up"}

var (
	sample     = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? [0-9]`)
	limitLabel = regexp.MustCompile(`limit="([a-z_]+)"`)
	expression = regexp.MustCompile(`(?m)"?expr"?: (.*)$`)
	metricName = regexp.MustCompile(`\b(?:echows|process|go)_[a-z_]+|\bup\b`)
	lastCell   = regexp.MustCompile("(?m)^\\| .*\\| `([a-z_]+)` \\|$")
)

// scraped returns the names of a new server's metrics, and the values of their label limit.
func scraped(t *testing.T) (names, limits []string) {
	t.Helper()
	p := programtest.Start(t)
	_, text := programtest.Get(t, p.URL+"/metrics")
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
		if limit := limitLabel.FindStringSubmatch(m[2]); limit != nil && m[1] == "echows_limits_reached_total" {
			limits = append(limits, limit[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names), limits
}

// All metrics used in the dashboard, in alerts and on the page about limits exist.
func TestEachMetricThatIsNamedIsCounted(t *testing.T) {
	t.Parallel()
	names, limits := scraped(t)
	for _, file := range []string{"../deploy/grafana/echows.json", "../deploy/prometheus/alerts.yml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, expr := range expression.FindAllStringSubmatch(string(text), -1) {
			for _, name := range metricName.FindAllString(expr[1], -1) {
				found++
				if !counted(names, name) {
					t.Errorf("%s: nothing counts %s", file, name)
				}
			}
		}
		if found < 10 {
			t.Errorf("%s names %d metrics", file, found)
		}
	}
	page, err := os.ReadFile("../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	var paged []string
	for _, cell := range lastCell.FindAllStringSubmatch(string(page), -1) {
		if name := cell[1]; strings.HasPrefix(name, "echows_") || strings.HasSuffix(name, "_total") {
			if !counted(names, name) {
				t.Errorf("docs/limits.md: nothing counts %s", name)
			}
		} else {
			paged = append(paged, name)
		}
	}
	if len(paged) < 20 {
		t.Errorf("docs/limits.md has %d limits with counters", len(paged))
	}
	for _, name := range paged {
		if !slices.Contains(limits, name) {
			t.Errorf("docs/limits.md: nothing counts the limit %s", name)
		}
	}
	for _, name := range limits {
		if !slices.Contains(paged, name) {
			t.Errorf("docs/limits.md lacks the limit %s, which is counted", name)
		}
	}
}

// The dashboard shows every metric.
func TestTheDashboardShowsEachMetric(t *testing.T) {
	t.Parallel()
	dashboard, err := os.ReadFile("../deploy/grafana/echows.json")
	if err != nil {
		t.Fatal(err)
	}
	names, _ := scraped(t)
	for _, name := range names {
		if !strings.HasPrefix(name, "echows_") || strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count") {
			continue
		}
		if !regexp.MustCompile(`\b` + name + `\b`).Match(dashboard) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

// counted reports whether a metric exists, or need not exist here.
func counted(names []string, name string) bool {
	return slices.Contains(names, name) || slices.Contains(elsewhere, name)
}
