package server

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"posd/central"
	"posd/central/server/store"
)

// The outcomes of a lookup, as the metrics name them.
const (
	outcomeKnown        = "known"     // the household was known
	outcomeCreated      = "created"   // it was made just now
	outcomeOptedOut     = "opted-out" //
	outcomeUnknownEpoch = "unknown-epoch"
	outcomeKeyRetired   = "key-retired"
	outcomeRejected     = "rejected" // the EncTID does not open
	outcomeRefused      = "refused"  // bad request, wrong role, revoked certificate
	outcomeQuota        = "quota"
	outcomeUnavailable  = "unavailable" // the database could not be asked
	outcomeBusy         = "busy"        // it would have had to wait for too long
)

// What is turned away when there is too much of it, as the metrics name it.
const (
	shedConnection = "connection"
	shedHandshake  = "handshake"
	shedEpoch      = "epoch"
	shedHousehold  = "household"
)

// metrics are without labels for lanes: there may be a hundred thousand.
type metrics struct {
	registry   *prometheus.Registry
	lookups    map[string]prometheus.Counter // by outcome
	shed       map[string]prometheus.Counter
	duration   prometheus.Histogram
	enrolments *prometheus.CounterVec
	renewals   *prometheus.CounterVec
	alarms     *prometheus.CounterVec
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "centrald_lookup_duration_seconds", Help: "Time from a lookup's arrival to its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}}),
		enrolments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "centrald_enrolments_total", Help: "Enrolments by outcome."}, []string{"outcome"}),
		renewals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "centrald_renewals_total", Help: "Certificate renewals by outcome."}, []string{"outcome"}),
		alarms: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "centrald_alarms_total", Help: "Alarms by type; see centrald alarms list."}, []string{"type"}),
	}
	m.lookups = m.series("centrald_lookups_total", "Lookups by outcome.", "outcome", outcomeKnown, outcomeCreated, outcomeOptedOut,
		outcomeUnknownEpoch, outcomeKeyRetired, outcomeRejected, outcomeRefused, outcomeQuota, outcomeUnavailable, outcomeBusy)
	m.shed = m.series("centrald_shed_total", "What was turned away, since it would have had to wait for too long, or there was no room.", "what",
		shedConnection, shedHandshake, shedEpoch, shedHousehold)
	for _, outcomes := range []*prometheus.CounterVec{m.enrolments, m.renewals} {
		outcomes.WithLabelValues(outcome(nil))
	}
	for _, alarm := range []string{store.AlarmClone, store.AlarmTokenReused} { // an increase from nothing is not seen
		m.alarms.WithLabelValues(alarm)
	}
	m.registry.MustRegister(m.duration, m.enrolments, m.renewals, m.alarms,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("centrald_index_tids", "TIDs known in memory.", func() float64 { n, _ := s.directory.Size(); return float64(n) }),
		gauge("centrald_index_bytes", "Memory that the index takes.", func() float64 { _, b := s.directory.Size(); return float64(b) }),
		gauge("centrald_change_sequence", "Number of the last change that memory has seen.", func() float64 { return float64(s.directory.Change()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "centrald_lookup_log_dropped_total", Help: "Lookups that were answered and not logged."}, func() float64 {
			if s.lookupLog == nil {
				return 0
			}
			n, _ := s.lookupLog.Dropped()
			return float64(n)
		}),
		gauge("centrald_ready", "1 if lookups are answered.", func() float64 { return yes(s.Status().State != NotReady) }),
		gauge("centrald_degraded", "1 if something that readyz tells is wrong.", func() float64 { return yes(len(s.Status().Reasons) > 0) }),
		troubleCollector{s},
		gauge("centrald_connections", "Connections on the lookup listener.", func() float64 { return float64(s.connections.Load()) }),
		gauge("centrald_lanes_quarantined", "Lanes that are in quarantine.", func() float64 { return float64(s.quarantine.size()) }),
		gauge("centrald_manifest_expiry_timestamp_seconds", "When the key manifest that lanes get ends, 0 without one.", s.manifestEnds),
		gauge("centrald_certificate_expiry_timestamp_seconds", "When central's own certificate ends.", func() float64 {
			return float64(s.identity.Current().Certificate.Leaf.NotAfter.Unix())
		}),
	)
	return m
}

// manifestEnds is when the manifest that lanes get ends, in Unix seconds.
func (s *Server) manifestEnds() float64 {
	var m central.Manifest
	if signed := s.signed.Load(); signed == nil || json.Unmarshal(signed.Manifest, &m) != nil {
		return 0
	}
	return float64(m.ExpiresAt.Unix())
}

// series makes counters that are 0 from the start, and are found without a search.
func (m *metrics) series(name, help, label string, values ...string) map[string]prometheus.Counter {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	m.registry.MustRegister(vec)
	all := map[string]prometheus.Counter{}
	for _, v := range values {
		all[v] = vec.WithLabelValues(v)
	}
	return all
}

func gauge(name, help string, f func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{DisableCompression: true})
}

// troubleCollector tells which of the things that readyz tells is wrong.
type troubleCollector struct{ s *Server }

var troubleDesc = prometheus.NewDesc("centrald_problem", "1 if this is wrong while lookups are answered; readyz says more.", []string{"what"}, nil)

func (troubleCollector) Describe(out chan<- *prometheus.Desc) { out <- troubleDesc }

func (c troubleCollector) Collect(out chan<- prometheus.Metric) {
	c.s.mu.Lock()
	all := c.s.troubles()
	c.s.mu.Unlock()
	for _, t := range all {
		out <- prometheus.MustNewConstMetric(troubleDesc, prometheus.GaugeValue, yes(t.reason != "" && c.s.loaded.Load()), t.what)
	}
}
