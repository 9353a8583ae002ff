package drivers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"time"
)

// keepEvery is how often statistics are written, if they have changed. A crash
// loses that much of the counting, and nothing else.
const keepEvery = time.Minute

// kept is the file that keeps statistics.
type kept struct {
	Version int                   `json:"version"`
	Devices map[string]Statistics `json:"devices"` // by the device's name
}

// maxKept is how many devices are remembered.
const maxKept = 200

// loadStatistics reads what the devices had done. A file that cannot be read, or is
// of another version, is put aside and begun anew: counting must not stop a lane.
func loadStatistics(path string, log *slog.Logger) map[string]Statistics {
	all := map[string]Statistics{}
	if path == "" {
		return all
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return all
	}
	var k kept
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err == nil && k.Version != 1 {
		err = fmt.Errorf("version %d is not known", k.Version)
	}
	if err != nil {
		aside := path + ".old"
		log.Warn("the devices' statistics are begun anew", "file", path, "kept", aside, "err", errors.Join(err, os.Rename(path, aside)))
		return all
	}
	for name, s := range k.Devices {
		if s.Counts == nil {
			s.Counts = map[string]uint64{}
		}
		if s.Refusals == nil {
			s.Refusals = map[string]uint64{}
		}
		all[name] = s
	}
	return all
}

// keep writes the statistics now and then, until ctx ends.
func (m *Manager) keep(ctx context.Context) {
	if m.env.Statistics == "" {
		return
	}
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := m.save(); err != nil {
				m.env.Log.Warn("keep the devices' statistics", "err", err)
			}
		}
	}
}

// save writes the statistics if they have changed.
func (m *Manager) save() error {
	if m.env.Statistics == "" {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := maps.Clone(m.stats)
	for _, d := range m.devices {
		now[d.cfg.Name] = d.status().Statistics
	}
	trim(now)
	if reflect.DeepEqual(now, m.stats) {
		return nil
	}
	text, err := json.MarshalIndent(kept{1, now}, "", "  ")
	if err == nil {
		err = replace(m.env.Statistics, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keep statistics: %w", err)
	}
	m.stats = now
	return nil
}

// trim forgets the devices that have been read the longest ago, where there are
// too many.
func trim(all map[string]Statistics) {
	if len(all) <= maxKept {
		return
	}
	names := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return all[b].LastRead.Compare(all[a].LastRead) })
	for _, name := range names[maxKept:] {
		delete(all, name)
	}
}

// replace writes a file in one step.
func replace(path string, text []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
