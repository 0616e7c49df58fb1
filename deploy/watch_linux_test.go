package deploy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// promtool runs Prometheus' own checker in the folder prometheus.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	require(t, "ECHOWS_PROMTOOL", "promtool")
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Dir = "prometheus"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPrometheusTakesTheAlerts(t *testing.T) {
	promtool(t, "check", "rules", "alerts.yml")
	promtool(t, "check", "config", "prometheus.yml")
	promtool(t, "test", "rules", "alerts_test.yml")
}

var (
	alertName = regexp.MustCompile(`(?m)^      - alert: (\w+)$`)
	tested    = regexp.MustCompile(`(?:alertname="|alertname: )(\w+)`)
)

// Each alert fires in a test, and says what is wrong and what to do.
func TestEachAlertIsTested(t *testing.T) {
	alerts, err := os.ReadFile("prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("prometheus/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	var fire []string
	for _, m := range tested.FindAllStringSubmatch(string(tests), -1) {
		fire = append(fire, m[1])
	}
	rules := strings.Split(string(alerts), "      - alert: ")[1:]
	if len(rules) < 10 || len(rules) != len(alertName.FindAllString(string(alerts), -1)) {
		t.Fatalf("the test finds %d alerts", len(rules))
	}
	for _, rule := range rules {
		name, _, _ := strings.Cut(rule, "\n")
		if !slices.Contains(fire, name) {
			t.Errorf("no test has %s fire", name)
		}
		for _, part := range []string{"\n        expr: ", "severity: ", "summary: ", "description: "} {
			if !strings.Contains(rule, part) {
				t.Errorf("%s has no %s", name, strings.TrimSpace(part))
			}
		}
	}
}

// dashboard is the part of Grafana's model that the test reads.
type dashboard struct {
	Title, UID    string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type string }
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Datasource               struct{ UID string }
	Targets                  []struct{ Expr, LegendFormat string }
}

// Grafana can show the dashboard: panels do not overlap, and each says what it shows, from the chosen source and for the
// chosen nodes.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("grafana/echows.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	var variables, rows []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name+" "+v.Type)
	}
	if got, want := fmt.Sprint(variables), "[datasource datasource node query]"; got != want || d.Title == "" || d.UID == "" || d.SchemaVersion == 0 {
		t.Errorf("the variables are %s, want %s; title %q, uid %q, schema %d", got, want, d.Title, d.UID, d.SchemaVersion)
	}
	taken := map[[2]int]int{}
	ids := map[int]bool{}
	var exprs []string
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("two panels have the id %d, or one no title", p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != 0 || x >= 24 {
					t.Fatalf("panel %d, %s, lies on panel %d, or outside", p.ID, p.Title, other)
				}
				taken[[2]int{x, y}] = p.ID
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if p.Description == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s: description %q, source %q, %d targets", p.Title, p.Description, p.Datasource.UID, len(p.Targets))
		}
		for _, target := range p.Targets {
			if !strings.Contains(target.Expr, `instance=~"$node"`) || target.LegendFormat == "" {
				t.Errorf("%s: %s, legend %q", p.Title, target.Expr, target.LegendFormat)
			}
			exprs = append(exprs, target.Expr)
		}
	}
	if got, want := strings.Join(rows, ", "), "Connections, Messages, Chat, Archive, Broker, Socket.IO, Limits, Process"; got != want {
		t.Errorf("the rows are %s, want %s", got, want)
	}
	checkExpressions(t, exprs)
}

// checkExpressions lets Prometheus parse what Grafana would ask it.
func checkExpressions(t *testing.T, exprs []string) {
	t.Helper()
	variables := strings.NewReplacer("$node", ".*", "$__rate_interval", "1m", "$__range", "3h")
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for i, expr := range exprs {
		rules = append(rules, rule{fmt.Sprint("panel:", i), variables.Replace(expr)})
	}
	file := filepath.Join(t.TempDir(), "rules.yml") // JSON is YAML, too
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}
