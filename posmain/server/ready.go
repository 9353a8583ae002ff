package server

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Status says whether baskets are taken, and what is wrong.
type Status struct {
	State   string   `json:"state"` // ready, or degraded for the reasons given
	Reasons []string `json:"reasons"`
}

// Status says how the server stands; the log is not looked at.
func (s *Server) Status() Status {
	if doubt := s.feedDoubt(); doubt != "" {
		return Status{"degraded", []string{doubt}}
	}
	return Status{"ready", []string{}}
}

// readyz answers 200 as long as baskets can be logged.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if _, err := s.Store.LogID(r.Context()); err != nil {
		answerProblem(w, storeProblem(err, s.Log))
		return
	}
	answer(w, s.Status())
}

// operations are what is read of how the server stands, by path.
func (s *Server) operations() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{"/healthz": s.health, "/readyz": s.readyz, "/metrics": s.metricsHandler().ServeHTTP}
}

// OperationsHandler serves health and metrics by themselves, to whoever may connect.
func (s *Server) OperationsHandler() http.Handler {
	mux := http.NewServeMux()
	for path, h := range s.operations() {
		mux.HandleFunc("GET "+path, h)
	}
	return mux
}

// metricsHandler serves what Prometheus reads.
func (s *Server) metricsHandler() http.Handler {
	registry := prometheus.NewRegistry()
	counter := func(name, help string, value func() uint64, labels prometheus.Labels) {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return float64(value()) }))
	}
	gauge := func(name, help string, value func() float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	counter("posmaind_baskets_total", "Revisions of baskets logged since the start.", s.baskets.Load, nil)
	counter("posmaind_refused_total", "Requests refused since the start.", s.refused.Load, nil)
	for kind, n := range s.alarms {
		counter("posmaind_alarms_total", "Deliveries that raised an alarm since the start; see posmaind alarms.", n.Load, prometheus.Labels{"kind": kind})
	}
	gauge("posmaind_last_basket_timestamp_seconds", "When a basket was last logged, 0 if none was since the start.", func() float64 { return float64(s.lastTime.Load()) })
	gauge("posmaind_ready", "1 if baskets can be logged.", func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
		defer cancel()
		_, err := s.Store.LogID(ctx)
		return yes(err == nil)
	})
	gauge("posmaind_degraded", "1 if something that readyz tells is wrong.", func() float64 { return yes(len(s.Status().Reasons) > 0) })
	gauge("posmaind_certificate_expiry_timestamp_seconds", "When the certificate ends.", func() float64 {
		return float64(s.Credentials.Current().Certificate.Leaf.NotAfter.Unix())
	})
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), feedCollector{s})
	// The others are told where the log cannot be read.
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

const collectTimeout = 5 * time.Second

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// feedCollector tells how far central's feed was followed.
type feedCollector struct{ s *Server }

var (
	feedHeard        = prometheus.NewDesc("posmaind_feed_heard_timestamp_seconds", "When central last answered about changes.", nil, nil)
	feedAcknowledged = prometheus.NewDesc("posmaind_feed_pending", "1 while changes of central are not done with yet.", nil, nil)
	feedRevoked      = prometheus.NewDesc("posmaind_revoked_certificates", "Certificates of lanes that central revoked.", nil, nil)
)

func (f feedCollector) Describe(out chan<- *prometheus.Desc) {
	out <- feedHeard
	out <- feedAcknowledged
	out <- feedRevoked
}

func (f feedCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	at, err := f.s.Store.FeedStatus(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(feedHeard, err)
		return
	}
	gauge := func(d *prometheus.Desc, v float64) { out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	if !at.HeardAt.IsZero() {
		gauge(feedHeard, float64(at.HeardAt.UnixMilli())/1000)
	}
	gauge(feedAcknowledged, yes(at.Due > at.Acknowledged))
	gauge(feedRevoked, float64(at.Revoked))
}
