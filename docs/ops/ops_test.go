// Package ops holds alerts, dashboard and runbooks to what the programs are.
package ops

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rules is a file of alerts.
type rules struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) (all []rule) {
	t.Helper()
	text, err := os.ReadFile("alerts.yaml")
	must(t, err)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var file rules
	must(t, decoder.Decode(&file))
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 20 {
		t.Fatalf("%d alerts were read", len(all))
	}
	return all
}

// dashboard is as much of Grafana's as is looked at.
type dashboard struct {
	Title      string
	UID        string
	Templating struct {
		List []struct{ Name, Type string }
	}
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ H, W, X, Y int }
		Targets []struct{ Expr, LegendFormat string }
	}
}

func grafana(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("grafana.json")
	must(t, err)
	must(t, json.Unmarshal(text, &d))
	return d
}

// expressions are those of alerts and dashboard, by what they are of.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, r := range alerts(t) {
		all["alert "+r.Alert] = r.Expr
	}
	for _, p := range grafana(t).Panels {
		for i, target := range p.Targets {
			all[fmt.Sprintf("panel %q, %d", p.Title, i)] = target.Expr
		}
	}
	return all
}

func TestAlertsSayWhatToDo(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range alerts(t) {
		if seen[r.Alert] || r.Alert == "" {
			t.Errorf("two alerts are called %q", r.Alert)
		}
		seen[r.Alert] = true
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s does not say what it is", r.Alert)
		}
		if _, err := os.Stat(r.Annotations["runbook"]); err != nil || !strings.HasSuffix(r.Annotations["runbook"], ".md") {
			t.Errorf("%s names no page that says what to do: %q", r.Alert, r.Annotations["runbook"])
		}
		for _, of := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(fmt.Sprint(r.Annotations), -1) {
			if !slices.Contains(labelsOf(t, r.Expr), of[1]) {
				t.Errorf("%s tells the label %s, which %s does not give", r.Alert, of[1], r.Expr)
			}
		}
	}
}

func TestDashboardIsWhole(t *testing.T) {
	d := grafana(t)
	variables := []string{"__rate_interval", "__all"}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d %q: no title, nothing to show, or a number that another has", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if over := taken[[2]int{x, y}]; over != "" || x >= 24 {
					t.Fatalf("panel %q lies over %q, or beyond the edge", p.Title, over)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			for _, v := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !slices.Contains(variables, v[1]) {
					t.Errorf("panel %q: there is no variable %s", p.Title, v[1])
				}
			}
		}
	}
	if d.Title == "" || d.UID == "" || len(d.Panels) < 20 {
		t.Errorf("%q, %q, %d panels", d.Title, d.UID, len(d.Panels))
	}
}

// TestPromQL has Prometheus' own tool look at alerts, dashboard and configuration,
// and play when alerts fire.
func TestPromQL(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("POSD_TEST_ALL") != "" {
			t.Fatal("promtool is not installed: it comes with the package prometheus")
		}
		t.Skip("SKIPPED: promtool is not installed, so Prometheus itself did not look at alerts and dashboard")
	}
	all := expressions(t)
	var records []map[string]string
	for i, of := range slices.Sorted(mapKeys(all)) {
		expr := strings.NewReplacer("$__rate_interval", "5m", "$replica", ".*", "$shop", ".*").Replace(all[of])
		records = append(records, map[string]string{"record": fmt.Sprint("dashboard:", i), "expr": expr})
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": records}}})
	must(t, err)
	generated := filepath.Join(t.TempDir(), "dashboard.yaml")
	must(t, os.WriteFile(generated, text, 0o600))
	for _, args := range [][]string{
		{"check", "rules", "alerts.yaml"}, {"check", "rules", generated}, {"test", "rules", "alerts_test.yaml"}, {"check", "config", "--syntax-only", "prometheus.yaml"},
	} {
		if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
