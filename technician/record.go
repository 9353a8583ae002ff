package technician

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"time"

	"posd/drivers"
	"posd/drivers/driver"
	"posd/drivers/recording"
	"posd/tid"
)

// RecordOptions says how to record.
type RecordOptions struct {
	Rules tid.Rules
	// TestCards leaves published test numbers in the recording.
	TestCards bool
	Source    string // what the recording says of its origin
}

// Record writes what a device sends as a recording, burst by burst, until ctx
// ends. Numbers of cards and persons are masked. ready is called when nothing is
// missed from then on.
func Record(ctx context.Context, listen Listen, o RecordOptions, ready func(), w io.Writer) error {
	r := recorder{o: o, w: w}
	err := bursts(ctx, listen, ready, r.take)
	if err == nil {
		err = r.err
	}
	return err
}

// recorder writes a recording.
type recorder struct {
	o     RecordOptions
	w     io.Writer
	began time.Time
	err   error
}

func (r *recorder) take(b *Burst) {
	var text []byte
	if r.began.IsZero() {
		r.began = b.Reads[0].At
		text = head(b.Source, r.o).Text()
	}
	if mask(b, r.o.Rules, r.o.TestCards) {
		text = append(text, "# masked: digits are 9, letters X\n"...)
	}
	rec := recording.Recording{Transport: string(b.Source.Attributes.Transport)}
	for _, read := range b.Reads {
		rec.Entries = append(rec.Entries, entries(rec.Transport, read, read.At.Sub(r.began))...)
	}
	if _, err := r.w.Write(append(text, withoutHead(rec.Text())...)); err != nil && r.err == nil {
		r.err = fmt.Errorf("write the recording: %w", err)
	}
}

// withoutHead leaves the entries of a recording.
func withoutHead(text []byte) []byte {
	for len(text) > 0 && text[0] == '#' {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	return text
}

// head is what a recording says of its device.
func head(s drivers.Source, o RecordOptions) recording.Recording {
	rec := recording.Recording{
		Source: o.Source, Transport: string(s.Attributes.Transport), Vendor: s.Attributes.Vendor, Product: s.Attributes.Product,
		Name: s.Product, Line: s.Line, Descriptor: s.Attributes.Descriptor, Settings: maps.Clone(map[string]string(s.Settings)),
	}
	if s.Driver != "" {
		rec.More = append(rec.More, recording.Header{Key: "driver", Value: s.Driver})
	}
	return rec
}

func entries(transport string, r driver.Read, at time.Duration) (all []recording.Entry) {
	if transport != recording.Evdev {
		return []recording.Entry{{At: at, Data: r.Data}}
	}
	for e := range recording.Events(r.Data) {
		all = append(all, recording.Entry{At: at, Event: e})
	}
	return all
}
