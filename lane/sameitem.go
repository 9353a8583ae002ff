package lane

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"posd/basket"
	"posd/gs1"
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
	elements    []gs1.Element       // that these have said
}

// noteRead remembers that a scan has become the basket's last line.
func (t *till) noteRead(f Frame) {
	if t.cfg.SameItemWindow > 0 {
		s := f.Scan.Symbology
		t.cur.reads = append(t.cur.reads, read{len(t.cur.Lines) - 1, f.At, s.Linear(), []scanner.Symbology{s}, f.Scan.Elements()})
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
		elements := s.Elements()
		if apart(r.elements, elements) {
			continue
		}
		r.symbologies, r.elements = append(r.symbologies, s.Symbology), append(r.elements, elements...)
		t.counts.add("same-item")
		t.publish(Event{At: f.At, Type: EventScan, Device: f.Device, Basket: &t.cur.ID, Code: "same-item", Reason: otherCode(line, s)})
		return true
	}
	return false
}

// apart reports whether elements are of two items, of whatever article: they have
// two serial numbers, batches, dates, weights or prices.
func apart(a, b []gs1.Element) bool {
	return slices.ContainsFunc(a, func(x gs1.Element) bool {
		return slices.ContainsFunc(b, func(y gs1.Element) bool { return sameKind(x.AI, y.AI) && said(x) != said(y) })
	})
}

// sameKind reports whether two AIs say the same of an item. The last digit of those
// of four for measures and amounts is the place of the decimal point.
func sameKind(x, y string) bool {
	return x == y || len(x) == 4 && len(y) == 4 && x[0] == '3' && x[:3] == y[:3]
}

// said gives what an element says, with the decimal point of measures and amounts.
func said(e gs1.Element) string {
	places := 0
	if len(e.AI) == 4 && e.AI[0] == '3' {
		places = int(e.AI[3] - '0')
	}
	if places > len(e.Value) {
		return e.AI + e.Value
	}
	whole, part := e.Value[:len(e.Value)-places], e.Value[len(e.Value)-places:]
	return strings.TrimLeft(whole, "0") + "." + strings.TrimRight(part, "0")
}

func otherCode(line basket.Line, s *scanner.Scan) string {
	text := fmt.Sprintf("the item of line %d has this code too", line.Number)
	if s.Problem != nil {
		text += ", which is doubtful: " + s.Problem.Reason
	}
	return text
}
