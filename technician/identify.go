package technician

import (
	"context"
	"slices"
	"time"

	"posd/drivers"
	"posd/drivers/driver"
	"posd/msr"
	"posd/tid"
)

// Heard is what was made of a burst.
type Heard struct {
	At        time.Time `json:"at"`
	Device    string    `json:"device,omitempty"` // empty: a node that no device is read from
	Role      string    `json:"role,omitempty"`
	ID        string    `json:"id,omitempty"`
	Port      string    `json:"port"`
	Product   string    `json:"product,omitempty"`
	Transport string    `json:"transport"`
	Line      string    `json:"line,omitempty"`
	Bytes     int       `json:"bytes"`
	Took      float64   `json:"took"`           // seconds from the first read to the last
	Best      string    `json:"best,omitempty"` // the driver that made sense of it
	Made      []Made    `json:"made"`           // what each driver made of it, in the order of the table
}

// Made is what one driver made of a burst.
type Made struct {
	Driver     string         `json:"driver"`
	Role       string         `json:"role"`
	Understood bool           `json:"understood"`
	Unlikely   bool           `json:"unlikely,omitempty"` // it does not look like what its devices send
	Events     []driver.Event `json:"events"`
	Error      string         `json:"error,omitempty"`
}

// Events gives what the best driver made of it.
func (h Heard) Events() []driver.Event { return h.by(h.Best) }

// Read reports whether something was made of it, if only a label that is not
// right.
func (h Heard) Read() bool {
	return slices.ContainsFunc(h.Made, func(m Made) bool {
		return m.Understood || slices.ContainsFunc(m.Events, func(e driver.Event) bool { return e.GTIN != "" || e.Last4 != "" || len(e.Tracks) > 0 && !m.Unlikely })
	})
}

// by gives what a driver made of it.
func (h Heard) by(name string) []driver.Event {
	for _, m := range h.Made {
		if m.Driver == name {
			return m.Events
		}
	}
	return nil
}

// Identify tells of everything that is heard until ctx ends. ready is called
// when nothing is missed from then on.
func Identify(ctx context.Context, listen Listen, rules tid.Rules, ready func(), tell func(Heard)) error {
	return bursts(ctx, listen, ready, func(b *Burst) { tell(heard(b, rules)) })
}

// heard has every driver look at a burst.
func heard(b *Burst, rules tid.Rules) Heard {
	s, first, last := b.Source, b.Reads[0].At, b.Reads[len(b.Reads)-1].At
	h := Heard{
		At: first, Device: s.Device, Role: string(s.Role), ID: s.ID, Port: s.Path, Product: s.Product,
		Transport: string(s.Attributes.Transport), Line: s.Line, Bytes: b.size(), Took: last.Sub(first).Seconds(),
	}
	h.Made = MadeOf(s.Role, drivers.Analyse(s, b.Reads, rules))
	if holdsCard(b) { // on another layout or parity perhaps, so that no driver finds it
		hideAll(h.Made)
	}
	for _, m := range h.Made {
		if m.Understood && (h.Best == "" || m.Driver == s.Driver) {
			h.Best = m.Driver
		}
	}
	return h
}

// personal reports whether a driver took what was read for a card, if one that it
// could not read, or for a number that was keyed in.
func (m Made) personal() bool {
	return slices.ContainsFunc(m.Events, func(e driver.Event) bool {
		return !m.Unlikely && slices.ContainsFunc(e.Tracks, func(t msr.Track) bool { return t.Status != msr.TrackNone }) ||
			m.Understood && (e.Type == driver.Swipe || e.Type == driver.Encrypted || e.Type == driver.Key && e.Action == "number")
	})
}

// hide leaves the last four digits of what a driver took for a label: it may be
// somebody's telephone number.
func (m *Made) hide() {
	for i := range m.Events {
		if e := &m.Events[i]; e.Label+e.Data+e.DataBase64 != "" {
			*e = hidden(*e)
		}
	}
}

// MadeOf tells what drivers made of what a device sent, without the numbers of
// persons: where it is a card reader or keypad, or a driver took it for one, what
// the others took for a label shows its last four digits.
func MadeOf(role driver.Role, outcomes []drivers.Outcome) []Made {
	all := []Made{}
	for _, o := range outcomes {
		m := Made{Driver: o.Driver, Understood: o.Understood(), Unlikely: o.Unlikely, Events: []driver.Event{}}
		if d, err := drivers.Find(o.Driver); err == nil {
			m.Role = string(d.Role)
		}
		if o.Err != nil {
			m.Error = o.Err.Error()
		}
		for _, e := range o.Events {
			m.Events = append(m.Events, Redact(e))
		}
		all = append(all, m)
	}
	if role == driver.MSR || role == driver.Keypad || slices.ContainsFunc(all, Made.personal) {
		hideAll(all)
	}
	return all
}

func hideAll(all []Made) {
	for i := range all {
		all[i].hide()
	}
}
