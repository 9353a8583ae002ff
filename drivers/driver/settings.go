package driver

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Settings is what the configuration says of a device beyond its port: the
// keys of a [[device]] table, and those of a recording's set headers.
type Settings map[string]string

// Setting is one key that a driver knows.
type Setting struct {
	Key     string
	Values  string // what may stand there
	Default string
	Doc     string
}

// key gives a key as the table spells it: close-key is close_key.
func key(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// Set sets a key, in place of any other spelling of it.
func (s Settings) Set(name, value string) {
	maps.DeleteFunc(s, func(k, _ string) bool { return key(k) == key(name) })
	s[name] = value
}

// Check refuses keys that a driver does not know, and those that come twice in
// two spellings.
func (s Settings) Check(d Driver) error {
	seen := map[string]bool{}
	for _, k := range slices.Sorted(maps.Keys(s)) {
		if seen[key(k)] {
			return fmt.Errorf("setting %s comes twice", k)
		}
		seen[key(k)] = true
		if !d.knows(k) {
			return fmt.Errorf("driver %s has no setting %q: it has %s", d.Name, k, d.settingKeys())
		}
	}
	return nil
}

// Known gives the settings that a driver knows.
func (s Settings) Known(d Driver) Settings {
	known := Settings{}
	for k, v := range s {
		if d.knows(k) {
			known[k] = v
		}
	}
	return known
}

func (d Driver) knows(name string) bool {
	return slices.ContainsFunc(d.Settings, func(s Setting) bool { return s.Key == key(name) })
}

func (d Driver) settingKeys() string {
	if len(d.Settings) == 0 {
		return "none"
	}
	var keys []string
	for _, s := range d.Settings {
		keys = append(keys, s.Key)
	}
	return strings.Join(keys, ", ")
}

// Get gives the value of a key, or "" if it is not set.
func (s Settings) Get(name string) string {
	for k, v := range s {
		if key(k) == name {
			return v
		}
	}
	return ""
}

// Bad names the setting that an error is about.
func Bad(name string, err error) error { return fmt.Errorf("setting %s: %w", name, err) }

// Flag reads true or false; false if the key is not set.
func (s Settings) Flag(name string) (bool, error) {
	v := s.Get(name)
	if v == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(v)
	if err != nil {
		return false, Bad(name, fmt.Errorf("%q is neither true nor false", v))
	}
	return on, nil
}

// Span reads a time span as Go writes it, or a number of milliseconds.
func (s Settings) Span(name string, missing time.Duration) (time.Duration, error) {
	v := s.Get(name)
	if v == "" {
		return missing, nil
	}
	d, err := time.ParseDuration(v)
	if ms, num := strconv.Atoi(v); num == nil {
		d, err = time.Duration(ms)*time.Millisecond, nil
	}
	if err != nil || d <= 0 || d > time.Hour {
		return 0, Bad(name, fmt.Errorf("%q is no time span such as 500ms or 30s", v))
	}
	return d, nil
}

// Bytes reads bytes to be sent to a device, as hex; none if the key is not set.
func (s Settings) Bytes(name string) ([]byte, error) {
	v := strings.Join(strings.Fields(s.Get(name)), "")
	b, err := hex.DecodeString(v)
	if err != nil || len(b) > 64 {
		return nil, Bad(name, fmt.Errorf("%q is not up to 64 bytes in hex, such as 06", s.Get(name)))
	}
	return b, nil
}

// SignalSettings are the settings of devices on a line that wait for the host's
// answer. LineSignals reads them.
func SignalSettings() []Setting {
	return []Setting{
		{"ack", "bytes in hex", "", "sent when a reading was kept, for devices whose good-read signal the host gives: 06"},
		{"nak", "bytes in hex", "", "sent when it was not: 15. A scanner that then sends the label again (NCR) does so until the lane takes it"},
	}
}

// LineSignals gives the signals of a device on a line, as SignalSettings say.
func LineSignals(_ Attributes, s Settings) (kept, refused []Command, err error) {
	for name, to := range map[string]*[]Command{"ack": &kept, "nak": &refused} {
		b, wrong := s.Bytes(name)
		if wrong != nil {
			return nil, nil, wrong
		}
		if len(b) > 0 {
			*to = []Command{{Data: b}}
		}
	}
	return kept, refused, nil
}
