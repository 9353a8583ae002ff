package ops

import (
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// selector is a metric in an expression, with what is asked of its labels.
type selector struct {
	metric   string
	matchers []matcher
}

type matcher struct{ label, op, value string }

// tokens of PromQL: strings, names, numbers with units, and all else by the character.
var tokens = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[a-zA-Z_:][a-zA-Z0-9_:]*|\d[\w.]*|\$\w+|[=!]~|[=!<>]=|\S`)

var (
	keywords  = []string{"and", "or", "unless", "bool", "offset", "inf", "nan"}
	groupings = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
	targets   = []string{"job", "instance"} // labels that Prometheus adds
)

// read takes the selectors out of an expression, and the labels that it groups by.
// Every name that is no function, keyword or label counts as a metric.
func read(t *testing.T, expr string) (all []selector, grouped []string) {
	t.Helper()
	rest := tokens.FindAllString(expr, -1)
	next := func() string {
		if len(rest) == 0 {
			t.Fatalf("%s ends too early", expr)
		}
		token := rest[0]
		rest = rest[1:]
		return token
	}
	for len(rest) > 0 {
		token := next()
		switch {
		case slices.Contains(groupings, token):
			for next(); ; {
				if label := next(); label == ")" {
					break
				} else if label != "," {
					grouped = append(grouped, label)
				}
			}
		case token == "[" || token == ":": // a range
			for next() != "]" {
			}
		case !isName(token), slices.Contains(keywords, token), len(rest) > 0 && (rest[0] == "(" || slices.Contains(groupings, rest[0])):
		default:
			s := selector{metric: token}
			if len(rest) > 0 && rest[0] == "{" {
				for next(); ; {
					label := next()
					if label == "}" {
						break
					}
					if label != "," {
						s.matchers = append(s.matchers, matcher{label, next(), strings.Trim(next(), `"`)})
					}
				}
			}
			all = append(all, s)
		}
	}
	return all, grouped
}

func isName(token string) bool { return regexp.MustCompile(`^[a-zA-Z_]`).MatchString(token) }

// labelsOf are the labels that an expression gives: those that it groups by if it
// does, else those of its metrics.
func labelsOf(t *testing.T, expr string) (labels []string) {
	t.Helper()
	all, grouped := read(t, expr)
	if len(grouped) > 0 {
		return grouped
	}
	for _, s := range all {
		if f := exposed(t)[family(s.metric)]; f != nil { // Prometheus makes up itself
			labels = append(labels, slices.Collect(maps.Keys(f.labels))...)
		}
	}
	return append(labels, targets...)
}

func mapKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

func TestRead(t *testing.T) {
	all, grouped := read(t, `histogram_quantile(0.99, sum by (le, job) (rate(a_bucket{job="x",what=~"p|q"}[5m]))) > 0.5 * max(b) and on (instance) c{} - time() < 14 * 86400 or sum(d) without (e) unless up == bool 1`)
	want := []selector{{"a_bucket", []matcher{{"job", "=", "x"}, {"what", "=~", "p|q"}}}, {"b", nil}, {"c", nil}, {"d", nil}, {"up", nil}}
	if !slices.EqualFunc(all, want, func(a, b selector) bool { return a.metric == b.metric && slices.Equal(a.matchers, b.matchers) }) || !slices.Equal(grouped, []string{"le", "job", "instance", "e"}) {
		t.Errorf("got %+v, %v", all, grouped)
	}
}

// TestMetricsAreExposed: every name, label and value of a label that alerts and
// dashboard go by is one that a running centrald or posmaind exposes.
func TestMetricsAreExposed(t *testing.T) {
	for of, expr := range expressions(t) {
		selectors, grouped := read(t, expr)
		if len(selectors) == 0 {
			t.Errorf("%s asks for no metric: %s", of, expr)
		}
		known := slices.Clone(targets)
		for _, s := range selectors {
			if s.metric == "up" { // Prometheus makes it up itself
				continue
			}
			job := ""
			for _, m := range s.matchers {
				if m.label == "job" {
					job = m.value
				}
			}
			f, ok := exposed(t)[family(s.metric)]
			if !ok || !slices.Contains(f.jobs, job) {
				t.Errorf("%s: %q does not expose %s", of, job, s.metric)
				continue
			}
			known = append(known, slices.Collect(maps.Keys(f.labels))...)
			if strings.HasSuffix(s.metric, "_bucket") {
				known = append(known, "le")
			}
			for _, m := range s.matchers {
				if slices.Contains(targets, m.label) {
					continue
				}
				for _, value := range strings.Split(m.value, "|") {
					if !slices.Contains(f.labels[m.label], value) {
						t.Errorf("%s: %s has no %s=%q, but %q", of, s.metric, m.label, value, f.labels[m.label])
					}
				}
			}
		}
		for _, label := range grouped {
			if !slices.Contains(known, label) {
				t.Errorf("%s: its metrics have no label %s", of, label)
			}
		}
	}
}

// TestNoMetricIsForgotten: what a program has of its own is in an alert or on the
// dashboard.
func TestNoMetricIsForgotten(t *testing.T) {
	used := map[string]bool{}
	for _, expr := range expressions(t) {
		selectors, _ := read(t, expr)
		for _, s := range selectors {
			used[family(s.metric)] = true
		}
	}
	for name := range exposed(t) {
		if (strings.HasPrefix(name, "centrald_") || strings.HasPrefix(name, "posmaind_")) && !used[name] {
			t.Errorf("nobody looks at %s", name)
		}
	}
}
