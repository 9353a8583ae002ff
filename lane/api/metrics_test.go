package api

import (
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Prometheus itself reads what is served, also where names are odd.
func TestExposition(t *testing.T) {
	var m exposition
	m.devices([]Device{
		{Name: "a \"front\"\\\nscanner", Role: "scanner", State: Reading, Good: 1, Statistics: map[string]uint64{"GoodScanCount": 1, "FailedReadCount": 2}, Refusals: map[string]uint64{}},
		{Name: "b", Role: "msr", State: "missing"},
	})
	m.lane(Status{})
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(m.String()))
	if err != nil {
		t.Fatalf("%v\n%s", err, m.String())
	}
	if got := families["posd_device_statistic_total"].GetMetric(); len(got) != 2 || got[0].GetLabel()[0].GetValue() != "a \"front\"\\\nscanner" || got[0].GetCounter().GetValue() != 2 {
		t.Errorf("got %v", got)
	}
	if got := families["posd_device_reading"].GetMetric(); len(got) != 2 || got[0].GetGauge().GetValue() != 1 || got[1].GetGauge().GetValue() != 0 {
		t.Errorf("got %v", got)
	}
}
