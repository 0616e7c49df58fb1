package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notYet are metrics that pages name and that nothing counts so far. A name that is counted has to leave the list.
var notYet = []string{
	"echows_connections", "echows_connections_total", "echows_messages_received_total", "echows_messages_sent_total", "echows_received_bytes_total", "echows_sent_bytes_total", "echows_message_handling_seconds_bucket",
	"echows_slow_closed_total", "echows_silent_closed_total", "echows_closes_total", "echows_upgrades_refused_total", "echows_limits_reached_total", "echows_members",
	"echows_chat_members", "echows_chat_posts_total", "echows_chat_post_seconds_bucket", "echows_chat_recoveries_total", "echows_chat_histories_total", "echows_chat_tickets_total", "echows_chat_sessions_total",
	"echows_archive_copied_total", "echows_broker_up", "echows_broker_lag_messages", "echows_broker_reconnects_total", "echows_broker_stored_total", "echows_broker_store_failures_total", "echows_broker_store_seconds_bucket",
	"echows_socketio_sockets", "echows_socketio_events_received_total", "echows_socketio_events_sent_total", "echows_socketio_recoveries_total",
}

// elsewhere are metrics that this test's server has no reason to have, or that are Prometheus' own.
var elsewhere = []string{"echows_archive_up", "up"}

var (
	sample     = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? [0-9]`)
	limitLabel = regexp.MustCompile(`limit="([a-z_]+)"`)
	expression = regexp.MustCompile(`(?m)"?expr"?: (.*)$`)
	metricName = regexp.MustCompile(`\b(?:echows|process|go)_[a-z_]+|\bup\b`)
	lastCell   = regexp.MustCompile("(?m)^\\| .*\\| `([a-z_]+)` \\|$")
)

// scraped are the names of the metrics of a new server, and the limits among them.
func scraped(t *testing.T) (names, limits []string) {
	t.Helper()
	p := startProgram(t)
	_, text := get(t, p.url+"/metrics")
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
		if limit := limitLabel.FindStringSubmatch(m[2]); limit != nil && m[1] == "echows_limits_reached_total" {
			limits = append(limits, limit[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names), limits
}

// What the dashboard shows, alerts compare and the page of limits names is counted, and what is not yet is known.
func TestEachMetricThatIsNamedIsCounted(t *testing.T) {
	names, limits := scraped(t)
	for _, file := range []string{"deploy/grafana/echows.json", "deploy/prometheus/alerts.yml"} {
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
	page, err := os.ReadFile("docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	var paged []string
	for _, cell := range lastCell.FindAllStringSubmatch(string(page), -1) {
		if name := cell[1]; strings.HasPrefix(name, "echows_") {
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
	if !counted(names, "echows_limits_reached_total") || slices.Contains(notYet, "echows_limits_reached_total") {
		return
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

// Whatever is counted is shown.
func TestTheDashboardShowsEachMetric(t *testing.T) {
	if len(notYet) > 0 {
		return // what is counted has other names so far
	}
	dashboard, err := os.ReadFile("deploy/grafana/echows.json")
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

// counted reports whether a metric is there, or known to be missing.
func counted(names []string, name string) bool {
	return slices.Contains(names, name) || slices.Contains(notYet, name) || slices.Contains(elsewhere, name)
}

func TestNothingIsCountedThatIsNotYet(t *testing.T) {
	names, _ := scraped(t)
	for _, name := range notYet {
		if slices.Contains(names, name) {
			t.Errorf("%s is counted: take it out of notYet", name)
		}
	}
}
