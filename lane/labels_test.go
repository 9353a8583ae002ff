package lane

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posd/basket"
	"posd/gs1"
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
		"]Q1https://id.gs1.org/8018/840000000000000002", "https://id.gs1.org/gsrn/840000000000000002/8019/1",
		"]E02112345678900|]e08018840000000000000002", "]C10109506000134352\x1d8018840000000000000002", "]Q38018840000000000000002\x1d7253DOE",
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
			"]Q1https://id.gs1.org/8018/061414199999999997", "]Q1https://id.gs1.org/8017/840000000000000002", "]E02112345678900|]e08018061414199999999997",
			"]E02112345678900|]e08018061414199999999990", "]Q1https://id.gs1.org/8018/061414199999999990", "]Q1https://id.gs1.org/01/09506000134352?pan=4111111111111111",
			"]Q1https://id.gs1.org/01/09506000134352?99=4111111111111111", "]E02112345678900|]e0914111111111111111", "]E02112345678900|]e24111111111111111",
			"]Q1https://id.gs1.org/8018/840000000000000006", "]C18018840000000000000006", // read wrong
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

// sameItem plays reads, parted by milliseconds, on a lane, and gives the UPCs of
// the lines then, and the number of reads that were told to be of the same item.
func sameItem(t *testing.T, window time.Duration, steps ...any) (upcs string, same int) {
	t.Helper()
	atLane(t, Config{SameItemWindow: window}, func(t *testing.T, w *world) {
		ch, cancel := w.lane.Subscribe()
		defer cancel()
		for _, step := range steps {
			switch step := step.(type) {
			case int:
				time.Sleep(time.Duration(step) * time.Millisecond)
			case string:
				if !w.read(step) {
					t.Errorf("%q was refused", step)
				}
			case func(*world):
				step(w)
			}
		}
		for _, e := range events(ch) {
			if e.Type == EventScan && e.Code == "same-item" {
				if same++; e.Line != nil || e.Basket == nil || e.Device == "" || !strings.HasPrefix(e.Reason, "the item of line ") {
					t.Errorf("the event is %+v", e)
				}
			}
		}
		if st, err := w.lane.Status(t.Context()); err != nil || st.Counts["same-item"] != uint64(same) {
			t.Errorf("%d are counted, %d were told, %v", st.Counts["same-item"], same, err)
		}
		if b, ok, _ := w.lane.Current(t.Context()); ok {
			for _, l := range b.Lines {
				upcs += l.Symbology + " "
			}
		}
	})
	return strings.TrimSpace(upcs), same
}

func TestSameItem(t *testing.T) {
	const (
		ean    = "]E04006381333931"
		other  = "]E05901234123457"
		dm     = "]d20104006381333931"
		qr     = "]Q1https://id.gs1.org/01/04006381333931/21/7"
		plain  = "https://id.gs1.org/01/04006381333931" // of a scanner that tells no symbology
		bar    = "]C10104006381333931"
		window = 500 * time.Millisecond
	)
	void := func(n int) func(*world) {
		return func(w *world) {
			if _, err := w.lane.VoidLine(context.Background(), n); err != nil {
				t.Error(err)
			}
		}
	}
	end := func(w *world) {
		if _, err := w.lane.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	key := func(w *world) {
		if _, err := w.lane.AddLine(context.Background(), "4006381333931", 2); err != nil {
			t.Error(err)
		}
	}
	start := func(w *world) {
		if _, err := w.lane.Start(context.Background(), Header{}); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		steps []any
		upcs  string
		same  int
	}{
		"bar code, then 2D":             {[]any{ean, 200, dm}, "EAN13", 1},
		"2D, then bar code":             {[]any{qr, 200, ean}, "QRCODE", 1},
		"without a symbology":           {[]any{"4006381333931", 100, plain}, "EAN13", 1},
		"just within":                   {[]any{ean, 500, dm}, "EAN13", 1},
		"too late":                      {[]any{ean, 501, dm}, "EAN13 GS1DATAMATRIX", 0},
		"twice the same code":           {[]any{ean, 100, ean}, "EAN13 EAN13", 0},
		"twice the same 2D code":        {[]any{dm, 100, dm}, "GS1DATAMATRIX GS1DATAMATRIX", 0},
		"two bar codes":                 {[]any{ean, 100, bar}, "EAN13 EAN128", 0},
		"two 2D codes":                  {[]any{dm, 100, qr}, "GS1DATAMATRIX QRCODE", 0},
		"three codes of one item":       {[]any{ean, 50, dm, 50, qr}, "EAN13", 2},
		"two items, each with both":     {[]any{ean, 50, dm, 50, ean, 50, dm}, "EAN13 EAN13", 2},
		"two items, interleaved":        {[]any{ean, 50, ean, 50, dm, 50, dm}, "EAN13 EAN13", 2},
		"the oldest line first":         {[]any{ean, 300, ean, 150, dm, 100, dm}, "EAN13 EAN13", 2},
		"one item's 2D code read twice": {[]any{ean, 50, dm, 50, dm}, "EAN13 GS1DATAMATRIX", 1},
		"another item":                  {[]any{other, 50, dm}, "EAN13 GS1DATAMATRIX", 0},
		"after the line was voided":     {[]any{ean, 50, void(1), dm}, "EAN13 GS1DATAMATRIX", 0},
		"the voided one is passed over": {[]any{ean, 10, ean, 10, void(1), dm}, "EAN13 EAN13", 1},
		"after a close":                 {[]any{ean, 50, end, dm}, "GS1DATAMATRIX", 0},
		"after a close and a start":     {[]any{ean, 50, end, start, dm}, "GS1DATAMATRIX", 0},
		"beside what was keyed in":      {[]any{key, 10, dm}, "EAN13 GS1DATAMATRIX", 0},
		"keyed in beside it":            {[]any{ean, 10, key}, "EAN13 EAN13", 0},
		"a doubtful 2D code":            {[]any{ean, 50, "]d2010400638133393117261331"}, "EAN13", 1},
		"one of a wrong check digit":    {[]any{ean, 50, "]d20104006381333932"}, "EAN13 GS1DATAMATRIX", 0},
		"of another weight":             {[]any{"]e001950123456789033103001750", 50, "]d201950123456789033103000820"}, "GS1DATABAR_E GS1DATAMATRIX", 0},
		"of the same weight":            {[]any{"]e001950123456789033103001750", 50, "]d201950123456789033102000175"}, "GS1DATABAR_E", 1},
		"of another serial number":      {[]any{"]C10104006381333931" + "21AAA", 50, "]d20104006381333931" + "21BBB"}, "EAN128 GS1DATAMATRIX", 0},
		"of another serial of the 2D":   {[]any{ean, 50, "]d20104006381333931" + "21AAA", 50, "]Q30104006381333931" + "21BBB"}, "EAN13 GS1QRCODE", 1},
		"of another date":               {[]any{"]C10104006381333931" + "17261231", 50, "]d20104006381333931" + "17270131"}, "EAN128 GS1DATAMATRIX", 0},
		"with more said":                {[]any{"]C10104006381333931" + "17261231", 50, "]d20104006381333931" + "21AAA"}, "EAN128", 1},
		"a coupon":                      {[]any{"]E09923456789019", 50, "]Q1https://a/01/09923456789019?255=9506000134352"}, "EAN13 QRCODE", 0},
		"after a restart":               {[]any{ean, 50, func(w *world) { w.halt(); w.run() }, dm}, "EAN13 GS1DATAMATRIX", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if upcs, same := sameItem(t, window, c.steps...); upcs != c.upcs || same != c.same && name != "after a restart" {
				t.Errorf("the lines are %s, and %d reads are of the same item; want %s, %d", upcs, same, c.upcs, c.same)
			}
		})
	}
	if upcs, same := sameItem(t, 0, ean, dm); upcs != "EAN13 GS1DATAMATRIX" || same != 0 {
		t.Errorf("turned off, the lines are %s", upcs)
	}
}

// TestSameItemOfTwoDevices: a lane may have two scanners, and its clock may
// jump.
func TestSameItemOfTwoDevices(t *testing.T) {
	atLane(t, Config{SameItemWindow: 500 * time.Millisecond}, func(t *testing.T, w *world) {
		offer := func(device, frame string, at time.Time) {
			s := scanner.Decode([]byte(frame), scanner.Options{})
			w.lane.Offer(Frame{Device: device, At: at, Scan: &s})
		}
		now := w.clock.Now()
		offer("bar", "]E04006381333931", now)
		offer("2d", "]Q1https://a/01/04006381333931", now.Add(-300*time.Millisecond)) // read before, and handed over later
		offer("bar", "]E05901234123457", now)
		offer("2d", "]Q1https://a/01/05901234123457", now.Add(-time.Hour))
		synctest.Wait()
		if b := openBasket(t, w); len(b.Lines) != 3 || b.Lines[1].GTIN != "05901234123457" || b.Lines[2].Device != "2d" {
			t.Errorf("the lines are %+v", b.Lines)
		}
	})
}

func TestRandomWeight(t *testing.T) {
	var cfg Config
	for _, text := range []string{"2IIIIIVPP.PPC", "29IIIIIWW.WWWC kg"} {
		p, err := gs1.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		cfg.RandomWeight = append(cfg.RandomWeight, p)
	}
	atLane(t, cfg, func(t *testing.T, w *world) {
		for _, frame := range []string{"212345928752", "212345828755", "2912345017507", "]e0019501234567890331030017503922299", "036000291452"} {
			if !w.read(frame) {
				t.Errorf("%s was refused", frame)
			}
		}
		got := ""
		for _, l := range openBasket(t, w).Lines {
			got += fmt.Sprintf("%s %s %v %v %s %s\n", l.GTIN, l.Reference, l.Price, l.Weight, l.Problem, l.Error)
		}
		want := "00212345928752 00212345000007 28.75 <nil>  \n" +
			"00212345828755 00212345000007 <nil> <nil> measure the check digit of its price or weight is 8, and 9 was computed\n" +
			"02912345017507 02912345000004 <nil> 1.750 kg  \n" +
			"95012345678903  2.99 1.750 kg  \n" +
			"00036000291452  <nil> <nil>  \n"
		if got != want {
			t.Errorf("the lines are\n%swant\n%s", got, want)
		}
		b := closeBasket(t, w)
		if _, err := basket.Marshal(b); err != nil || b.Validate() != nil {
			t.Errorf("the basket cannot be sent: %v, %v", err, b.Validate())
		}
	})
}

// TestBadLabelsSayWhere: what is wrong goes with the line, named by AI and byte.
func TestBadLabelsSayWhere(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.read("]C1010950600013435217261331")
		if l := openBasket(t, w).Lines[0]; l.Problem != "elements" || l.Error != "AI (17), byte 18: its date is none of the calendar" || l.GTIN != "09506000134352" {
			t.Errorf("the line is %+v", l)
		}
	})
}

// TestLongLabels: what the POS main computer would not take is refused here, not
// there.
func TestLongLabels(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		for n, want := range map[int]bool{basket.MaxText - 3: true, basket.MaxText - 2: false, basket.MaxText + 1: false} {
			if w.read("]Q1"+strings.Repeat("x", n)) != want {
				t.Errorf("a label of %d bytes behind its identifier: taken is %v", n, !want)
			}
		}
		if b := closeBasket(t, w); len(b.Lines) != 1 || b.Validate() != nil {
			t.Errorf("%d lines, %v", len(b.Lines), b.Validate())
		}
	})
}
