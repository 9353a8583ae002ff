package api

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// collectWithin is how long the lane's loop may take to answer.
const collectWithin = time.Second

// metrics serves what the status tells in the text format of Prometheus. It is
// written here and not by Prometheus' library, which would add a sixth to the
// memory of a lane that mostly waits.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), collectWithin)
	defer cancel()
	var m exposition
	devices := s.devices()
	m.devices(devices)
	st, err := s.status(ctx)
	m.family("posd_up", "gauge", "1 if the lane's loop answers.", sample{value: yes(err == nil)})
	if err == nil {
		m.lane(st)
	}
	m.family("posd_start_time_seconds", "gauge", "When posd started.", sample{value: float64(s.program.StartedAt.UnixMilli()) / 1000})
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Write(m.Bytes()) // a client that has gone needs no answer
}

// exposition is the text format of Prometheus, version 0.0.4.
type exposition struct{ bytes.Buffer }

// sample is a value with its labels: name, value, name, value ...
type sample struct {
	labels []string
	value  float64
}

// family writes a family of metrics, if there is a sample of it.
func (m *exposition) family(name, kind, help string, samples ...sample) {
	if len(samples) == 0 {
		return
	}
	fmt.Fprintf(m, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for _, s := range samples {
		m.WriteString(name)
		for i := 0; i+1 < len(s.labels); i += 2 {
			m.WriteByte("{,"[min(i, 1)])
			fmt.Fprintf(m, `%s="%s"`, s.labels[i], labelValue(s.labels[i+1]))
		}
		if len(s.labels) > 0 {
			m.WriteByte('}')
		}
		fmt.Fprintf(m, " %s\n", strconv.FormatFloat(s.value, 'g', -1, 64))
	}
}

// labelValue escapes what a label's value may not hold.
func labelValue(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s)
}

func (m *exposition) devices(devices []Device) {
	var reading, statistics, refusals, dropped, unsent, last []sample
	for _, d := range devices {
		of := []string{"device", d.Name, "role", d.Role}
		with := func(more ...string) []string { return append(slices.Clone(of), more...) }
		reading = append(reading, sample{with("state", d.State), yes(d.State == Reading)})
		statistics = append(statistics, counted("name", d.Statistics, with)...)
		refusals = append(refusals, counted("code", d.Refusals, with)...)
		dropped = append(dropped, sample{of, float64(d.Dropped)})
		unsent = append(unsent, sample{of, float64(d.Unsent)})
		if !d.LastRead.IsZero() {
			last = append(last, sample{of, float64(d.LastRead.UnixMilli()) / 1000})
		}
	}
	m.family("posd_device_reading", "gauge", "1 if the device is being read.", reading...)
	m.family("posd_device_statistic_total", "counter", "Statistics by the names of UnifiedPOS, since the device's installation.", statistics...)
	m.family("posd_device_refusals_total", "counter", "What could not be read, by the code that says why.", refusals...)
	m.family("posd_device_dropped_total", "counter", "Readings that the lane did not take.", dropped...)
	m.family("posd_device_unsent_total", "counter", "Signals that the device did not take.", unsent...)
	m.family("posd_device_last_read_timestamp_seconds", "gauge", "When something was read.", last...)
}

// counted gives samples of named counts, in the order of their names.
func counted(label string, counts map[string]uint64, with func(...string) []string) (all []sample) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, sample{with(label, name), float64(counts[name])})
	}
	return all
}

func (m *exposition) lane(st Status) {
	m.family("posd_problems", "gauge", "How many things a person should look at: see posd status.", sample{value: float64(len(st.Problems))})
	m.family("posd_events_total", "counter", "What happened on the lane, by kind.", counted("event", st.Lane.Counts, func(l ...string) []string { return l })...)
	m.family("posd_outbox_queued", "gauge", "Baskets that the POS main computer has not acknowledged.", sample{value: float64(st.Lane.Queued)})
	m.family("posd_outbox_refused", "gauge", "Baskets that the POS main computer refused.", sample{value: float64(st.Lane.Refused)})
	m.family("posd_identities_pending", "gauge", "Identities that wait for central.", sample{value: float64(st.Lane.Pending)})
	m.family("posd_link_up", "gauge", "1 if the way to the other computer worked the last time.",
		sample{[]string{"to", "central"}, yes(st.Lane.Central.State == "up")}, sample{[]string{"to", "posmain"}, yes(st.Lane.Main.State == "up")})
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
