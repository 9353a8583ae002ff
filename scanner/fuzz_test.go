package scanner

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"posd/gs1"
)

func FuzzDecode(f *testing.F) {
	for _, frame := range []string{"036000291452", "]E01101234567891]E112", "E0425261", "FF73513537", "]C10109501101530003\x1d10A",
		"]e08110106141416543213500110000310123196000", "A03600029145212345", "9780201379624 51995", "]I31061414100041", "P0Q01", "\x00", "]E", "]E20000A",
		"]E02112345678900|]e01099991234\x1d98COMP", "]e00124012345678905|]e0", "]Q1https://id.gs1.org/01/09506000134352/10/ABC?17=261231", "]Q2\\000026A\\\\B",
		"QRhttps://a/gtin/4006381333931", "]J4\\0000260109501101530003", "425261", "0000000ʊ0", "2112345678900|]e0"} {
		for _, o := range []uint16{0, 1, 2, 3, 4, 5, 1 << 6, 7 << 6, 30 << 6} {
			f.Add([]byte(frame), o)
		}
	}
	presets := []IDs{IDsNone, IDsAIM, IDsNCR, IDsDatalogic, IDsHoneywell, IDsZebra}
	knowns := []Symbology{"", UPCA, UPCAS, UPCE, UPCES, EAN8, EAN8S, EAN13, EAN13S, ITF, Code39, Code128, EAN128, GS1DataBar, GS1DataBarE, GS1DataBarT2, DataMatrix, GS1DataMatrix, QRCode, OtherType, Unknown}
	pattern, _ := gs1.ParsePattern("2IIIIIVPP.PPC")
	f.Fuzz(func(t *testing.T, frame []byte, o uint16) {
		opt := Options{IDs: presets[int(o&7)%len(presets)], CheckDigitAbsent: o&8 != 0, NumberSystemAbsent: o&16 != 0, Known: knowns[int(o>>6)%len(knowns)]}
		if o&32 != 0 {
			opt.Prefer = EAN8
		}
		before := bytes.Clone(frame)
		s := Decode(frame, opt)
		again := Decode(frame, opt)
		check(t, s)
		if !bytes.Equal(frame, before) || !bytes.Equal(s.Data, before) {
			t.Fatalf("%q: Data is %q", before, s.Data)
		}
		if say(s) != say(again) {
			t.Fatalf("%q: %s, then %s", frame, say(s), say(again))
		}
		for _, e := range s.Elements() {
			if e.At < 0 || e.At >= len(s.text)+2 {
				t.Fatalf("%q: %+v does not stand there", frame, e)
			}
		}
		if m := s.Measure([]gs1.Pattern{pattern}); m.Reference != "" && m.Reference[:8] != s.GTIN[:8] {
			t.Fatalf("%q: %+v", frame, m)
		}
		Explain(string(frame), 2026, []gs1.Pattern{pattern})
	})
}

// check holds what every scan has to hold.
func check(t *testing.T, s Scan) {
	t.Helper()
	if s.GTIN != "" {
		if g, err := gs1.ParseGTIN(string(s.GTIN)); err != nil || g != s.GTIN {
			t.Fatalf("a bad GTIN: %s", say(s))
		}
	}
	if s.Symbology == "" || s.Symbology[0] == '?' || s.Kind == "" {
		t.Fatalf("not decided: %s", say(s))
	}
	if !utf8.ValidString(s.Label) || s.AddOn != "" && !gs1.IsAddOn(s.AddOn) {
		t.Fatalf("no text: %s", say(s))
	}
	if strings.HasSuffix(string(s.Symbology), "_S") != (s.AddOn != "" && s.Symbology.isUPCEAN()) {
		t.Fatalf("add-on and symbology differ: %s", say(s))
	}
	good := s.Problem == nil
	if good && s.Symbology.isUPCEAN() && s.GTIN == "" || good && s.Label == "" && s.Symbology.isUPCEAN() {
		t.Fatalf("no GTIN and no problem: %s", say(s))
	}
	if !good && (s.Problem.Code == "" || s.Problem.Reason == "") {
		t.Fatalf("a problem without words: %s", say(s))
	}
}

// BenchmarkDecode tells how long a label takes, and how much longer than copying
// it.
func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct{ name, frame string }{
		{"UPCA", "036000291452"}, {"AIM", "]E04006381333931"}, {"UPCE", "04252614"}, {"AddOn", "]E04006381333931]E112"},
		{"GS1", "]d201095011015300031714070410AB-123"}, {"Composite", "]E02112345678900|]e01099991234\x1d98COMP"},
		{"Coupon", "]e08110106141416543213500110000310123196000"}, {"Link", "]Q1https://id.gs1.org/01/09506000134352/10/ABC?17=261231"}, {"Text", "]Q1" + strings.Repeat("text ", 400)},
	} {
		b.Run(c.name, func(b *testing.B) {
			frame := []byte(c.frame)
			b.ReportAllocs()
			for b.Loop() {
				Decode(frame, Options{})
			}
			decoded := b.Elapsed()
			start := time.Now()
			for range b.N {
				sink = string(bytes.Clone(frame))
			}
			b.ReportMetric(float64(decoded)/float64(time.Since(start)), "x/copy")
		})
	}
}

var sink string
