package lane

import (
	"fmt"
	"slices"
	"time"

	"posd/basket"
	"posd/scanner"
)

// The bar code and the 2D code of one item, read in one go, are one line. Two
// reads of one symbology are two items.

// read is a line that a scanner's read has made lately.
type read struct {
	line        int // index in the basket
	at          time.Time
	linear      bool
	symbologies []scanner.Symbology // that have been read for it
}

// noteRead remembers that a scan has become the basket's last line.
func (t *till) noteRead(f Frame) {
	if t.cfg.SameItemWindow > 0 {
		s := f.Scan.Symbology
		t.cur.reads = append(t.cur.reads, read{len(t.cur.Lines) - 1, f.At, s.Linear(), []scanner.Symbology{s}})
	}
}

// sameItem reports whether a scan is the other code of an item that is a line of
// the open basket, and tells so: the oldest such line that this symbology has
// not been read for. The wall clock may have jumped in between; then it is not.
func (t *till) sameItem(f Frame, kind basket.LineKind) bool {
	if t.cur == nil || f.Scan.GTIN == "" || kind != basket.Item {
		return false
	}
	t.cur.reads = slices.DeleteFunc(t.cur.reads, func(r read) bool { return f.At.Sub(r.at).Abs() > t.cfg.SameItemWindow })
	s := f.Scan
	for i := range t.cur.reads {
		r := &t.cur.reads[i]
		line := t.cur.Lines[r.line]
		if line.GTIN != string(s.GTIN) || line.VoidedAt != nil || r.linear == s.Symbology.Linear() || slices.Contains(r.symbologies, s.Symbology) {
			continue
		}
		r.symbologies = append(r.symbologies, s.Symbology)
		t.counts.add("same-item")
		t.publish(Event{At: f.At, Type: EventScan, Device: f.Device, Basket: &t.cur.ID, Code: "same-item", Reason: otherCode(line, s)})
		return true
	}
	return false
}

func otherCode(line basket.Line, s *scanner.Scan) string {
	text := fmt.Sprintf("the item of line %d has this code too", line.Number)
	if s.Problem != nil {
		text += ", which is doubtful: " + s.Problem.Reason
	}
	return text
}
