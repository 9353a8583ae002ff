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

// metricsHandler serves what Prometheus reads.
func (s *Server) metricsHandler() http.Handler {
	registry := prometheus.NewRegistry()
	counter := func(name, help string, value func() uint64) {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value()) }))
	}
	counter("posmaind_baskets_total", "Revisions of baskets logged since the start.", s.baskets.Load)
	counter("posmaind_refused_total", "Requests refused since the start.", s.refused.Load)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), feedCollector{s})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
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
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
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
	pending := 0.0
	if at.Due > at.Acknowledged {
		pending = 1
	}
	gauge(feedAcknowledged, pending)
	gauge(feedRevoked, float64(at.Revoked))
}
