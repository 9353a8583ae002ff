package api

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metric is one family of metrics: what it is called, and its labels.
type metric struct {
	*prometheus.Desc
	kind prometheus.ValueType
}

func total(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("posd_"+name, help, labels, nil), prometheus.CounterValue}
}

func level(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("posd_"+name, help, labels, nil), prometheus.GaugeValue}
}

// metrics collects what the status tells, when it is asked for.
type metrics struct {
	server *Server

	up, events, queued, refusedBaskets, pending, links            metric
	reading, statistics, refusals, dropped, unsent, last, problem metric
}

func newMetrics(s *Server) *metrics {
	return &metrics{
		server:         s,
		up:             level("up", "1 if the lane's loop answers."),
		problem:        level("problems", "How many things a person should look at: see posd status."),
		events:         total("events_total", "What happened on the lane, by kind.", "event"),
		queued:         level("outbox_queued", "Baskets that the POS main computer has not acknowledged."),
		refusedBaskets: level("outbox_refused", "Baskets that the POS main computer refused."),
		pending:        level("identities_pending", "Identities that wait for central."),
		links:          level("link_up", "1 if the way to the other computer worked the last time.", "to"),
		reading:        level("device_reading", "1 if the device is being read.", "device", "role", "state"),
		statistics:     total("device_statistic_total", "Statistics by the names of UnifiedPOS, since the device's installation.", "device", "role", "name"),
		refusals:       total("device_refusals_total", "What could not be read, by the code that says why.", "device", "role", "code"),
		dropped:        total("device_dropped_total", "Readings that the lane did not take.", "device", "role"),
		unsent:         total("device_unsent_total", "Signals that the device did not take.", "device", "role"),
		last:           level("device_last_read_timestamp_seconds", "When something was read.", "device", "role"),
	}
}

// handler serves the metrics in the text format of Prometheus.
func (m *metrics) handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true})
}

// Describe gives nothing: which devices there are is known when it is collected.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// collectWithin is how long the lane's loop may take to answer.
const collectWithin = time.Second

// Collect gives the metrics as they are now.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	give := func(d metric, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d.Desc, d.kind, v, labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), collectWithin)
	defer cancel()
	for _, d := range m.server.devices() {
		m.device(d, give)
	}
	st, err := m.server.status(ctx)
	give(m.up, yes(err == nil))
	if err != nil {
		return
	}
	give(m.problem, float64(len(st.Problems)))
	for event, n := range st.Lane.Counts {
		give(m.events, float64(n), event)
	}
	give(m.queued, float64(st.Lane.Queued))
	give(m.refusedBaskets, float64(st.Lane.Refused))
	give(m.pending, float64(st.Lane.Pending))
	give(m.links, yes(st.Lane.Central.State == "up"), "central")
	give(m.links, yes(st.Lane.Main.State == "up"), "posmain")
}

func (m *metrics) device(d Device, give func(metric, float64, ...string)) {
	give(m.reading, yes(d.State == Reading), d.Name, d.Role, d.State)
	for name, n := range d.Statistics {
		give(m.statistics, float64(n), d.Name, d.Role, name)
	}
	for code, n := range d.Refusals {
		give(m.refusals, float64(n), d.Name, d.Role, code)
	}
	give(m.dropped, float64(d.Dropped), d.Name, d.Role)
	give(m.unsent, float64(d.Unsent), d.Name, d.Role)
	if !d.LastRead.IsZero() {
		give(m.last, float64(d.LastRead.UnixMilli())/1000, d.Name, d.Role)
	}
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
