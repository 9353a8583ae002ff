package lane

import (
	"regexp"
	"testing"

	"posd/basket"
	"posd/scanner"
	"posd/tid"
)

// read shows a label as a scanner sends it.
func (w *world) read(frame string) bool {
	s := scanner.Decode([]byte(frame), scanner.Options{})
	return w.show(Frame{Scan: &s})
}

// TestPersonsInLabelsOfThings: a person's number in a Digital Link, in a
// composite component, or beside a GTIN, never becomes a clear line; one of the
// shop's own programme is taken as such.
func TestPersonsInLabelsOfThings(t *testing.T) {
	cfg := Config{Rules: tid.Rules{Country: "US", Issuer: "0001", Loyalty: []*regexp.Regexp{regexp.MustCompile("^8400[0-9]{14}$")}}}
	for _, frame := range []string{
		"]Q1https://id.gs1.org/8018/840000000000000006", "https://id.gs1.org/gsrn/840000000000000006/8019/1",
		"]E02112345678900|]e08018840000000000000006", "]C10109506000134352\x1d8018840000000000000006", "]Q38018840000000000000006\x1d7253DOE",
	} {
		atLane(t, cfg, func(t *testing.T, w *world) {
			if !w.read(frame) {
				t.Errorf("%q was refused", frame)
			}
			if b := openBasket(t, w); len(b.Lines) != 0 || len(b.Identities) != 1 {
				t.Errorf("%q made the lines %+v, and the identities %+v", frame, b.Lines, b.Identities)
			}
		})
	}
	atLane(t, cfg, func(t *testing.T, w *world) {
		for _, frame := range []string{
			"]Q1https://id.gs1.org/8018/061414199999999997", "]Q1https://id.gs1.org/8017/840000000000000006", "]E02112345678900|]e08018061414199999999997",
			"]E02112345678900|]e08018061414199999999990", "]Q1https://id.gs1.org/8018/061414199999999990", "]Q1https://id.gs1.org/01/09506000134352?pan=4111111111111111",
			"]Q1https://id.gs1.org/01/09506000134352?99=4111111111111111", "]E02112345678900|]e0914111111111111111", "]E02112345678900|]e24111111111111111",
			"]Q300106141412345678908\x1d4301JANE", "]Q38018061414199999999997\x1d7253DOE", "]d201095060001343529" + "14111111111111111",
		} {
			if w.read(frame) {
				t.Errorf("%q was taken", frame)
			}
		}
		if _, ok, _ := w.lane.Current(t.Context()); ok {
			t.Error("a basket was opened")
		}
		for _, frame := range []string{"]C12539506000134352", "]C12559506000134352", "]d20109506000134352214111111111111111", "]Q1https://id.gs1.org/01/09506000134352/21/4111111111111111"} {
			if !w.read(frame) {
				t.Errorf("the thing %q was refused", frame)
			}
		}
		if b := openBasket(t, w); len(b.Lines) != 4 || b.Lines[1].Kind != basket.Coupon || b.Lines[3].GTIN != "09506000134352" {
			t.Errorf("the lines are %+v", b.Lines)
		}
	})
}
