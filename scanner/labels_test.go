package scanner

import (
	"strings"
	"testing"

	"posd/gs1"
)

// TestAIMModifiers: FNC1 in the first position is GS1, in the second it is not
// (ISO/IEC 15424 and the symbologies' own standards; Honeywell's list of AIM
// identifiers).
func TestAIMModifiers(t *testing.T) {
	const gs1Text = "010950110153000310A"
	for ids, want := range map[string]string{
		"C1": "EAN128", "d2 d5": "GS1DATAMATRIX", "Q3 Q4": "GS1QRCODE", "J1 J4": "OTHER", "e0": "GS1DATABAR_E",
		"z1 z4 z7 zA": "AZTEC", "L3": "UPDF417", "O1 O5": "CodablockF", "K1": "Code16k", "T1": "Code49",
	} {
		for _, id := range strings.Fields(ids) {
			s := Decode([]byte("]"+id+gs1Text), Options{})
			if got := say(s); got != want+" "+gs1Text+" 09501101530003 - item -" || len(s.Elements()) != 2 {
				t.Errorf("]%s: %s, %v", id, got, s.Elements())
			}
			if s := Decode([]byte("]"+id+"hello"), Options{}); s.Problem == nil || s.Problem.Code != CodeElements {
				t.Errorf("]%s with no elements: %s", id, say(s))
			}
		}
	}
	for ids, want := range map[string]string{
		"C0 C2": "Code128", "C4": "ISBT128", "d0 d1 d3 d4 d6": "DATAMATRIX", "Q0 Q1 Q2 Q5 Q6": "QRCODE", "J0 J2 J3 J5": "OTHER", "e1 e2 e3": "OTHER",
		"z0 z2 z3 z5 z6 z8 z9 zB zC": "AZTEC", "L0 L1 L2": "PDF417", "L4 L5": "UPDF417", "A0 A1 A3 A4 A5 A7": "Code39", "I0 I1": "ITF",
		"X0": "OTHER", "h0 h1": "HANXIN", "U0 U3": "MAXICODE", "O0 O4 O6": "CodablockF", "K0": "Code16k", "T0": "Code49",
		"F0 F1": "Codabar", "G0": "Code93", "H0": "Code11", "M0": "MSI", "P0": "PLESSEY", "B0": "TELEPEN", "S0 R0": "TF",
	} {
		for _, id := range strings.Fields(ids) {
			text := "0109501101530003"
			s := Decode([]byte("]"+id+text), Options{})
			if got := say(s); got != want+" "+text+" - - other -" || s.Elements() != nil {
				t.Errorf("]%s: %s, %v", id, got, s.Elements())
			}
		}
	}
}

func TestExtendedChannels(t *testing.T) {
	run(t, []labelTest{
		{`]Q2\000026Grüße`, Options{}, "QRCODE Grüße - - other -"},
		{`]d4\000003A\\B\000026`, Options{}, `DATAMATRIX A\B - - other -`},
		{`]Q4\0000260109501101530003`, Options{}, "GS1QRCODE 0109501101530003 09501101530003 - item -"},
		{`]Q1\000026A\\B`, Options{}, `QRCODE \000026A\\B - - other -`}, // not in this protocol
		{`]Q2A\B\`, Options{}, `QRCODE A\B\ - - other -`},
		{`]Q2\000026https://id.gs1.org/01/09506000134352`, Options{}, "QRCODE https://id.gs1.org/01/09506000134352 09506000134352 - item -"},
	})
}

func TestComposites(t *testing.T) {
	run(t, []labelTest{
		{"]E02112345678900|]e01099991234~98COMP", Options{}, "EAN13 2112345678900 02112345678900 - item -"},
		{"]E02112345678900|]e017261231", Options{}, "EAN13 2112345678900 02112345678900 - item -"},
		{"]E00416000336108|]e099COMPOSITE~98XYZ", Options{}, "UPCA 416000336108 00416000336108 - item -"},
		{"]E402345673|]e099COMPOSITE~98XYZ", Options{}, "EAN8 02345673 00000002345673 - item -"},
		{"]E02112345678900|]e017261331", Options{}, "EAN13 2112345678900 02112345678900 - item elements"},
		{"]E02112345678900|]e0", Options{}, "EAN13 2112345678900 02112345678900 - item -"},
		{"]E02112345678900|]e0250A", Options{}, "EAN13 2112345678900 02112345678900 - item pairs"},
		{"]E02112345678900|]e08018061414199999999997", Options{}, "EAN13 2112345678900 02112345678900 - item -"},
		{"]E02112345678900|]e08110106141416543213500110000310123196000", Options{}, "EAN13 2112345678900 02112345678900 - coupon -"},
		{"]E02112345678900|]e017261231|]e2free text", Options{}, "EAN13 2112345678900 02112345678900 - item -"},
		{"]E02112345678900|]e2free text", Options{}, "EAN13 2112345678900 02112345678900 - item -"},
		{"]E02112345678901|]e01099991234", Options{}, "EAN13 2112345678901 - - item check-digit"},
		{"]e00124012345678905|]e099COMPOSITE~98XYZ", Options{}, "GS1DATABAR 24012345678905 24012345678905 - item -"},
		{"]e0012401234567890599COMPOSITE~98XYZ", Options{}, "GS1DATABAR_E 012401234567890599COMPOSITE~98XYZ 24012345678905 - item -"}, // in one
		{"]C10124012345678905|]e010A~17261231", Options{}, "EAN128 0124012345678905 24012345678905 - item -"},
		{"]C10124012345678905|]e037261", Options{}, "EAN128 0124012345678905 24012345678905 - item pairs"},
		{"]E04006381333931]e01012", Options{}, "EAN13 4006381333931 04006381333931 - item charset"}, // nothing tells what that is
	})
	for frame, at := range map[string]int{
		"]E02112345678900|]e01099991234~17261331": 30, // 13 digits, the mark, AI 10, GS, AI 17
		"]E00416000336108|]e017261331":            19, // as it was sent, with the 0
		"]C10124012345678905|]e017261331":         22,
		"]e00124012345678904":                     15,
		"]C1~0124012345678904":                    16,
		"]Q1https://a/01/09506000134353":          26,
		"]E02112345678900|]e0250A":                17,
		"]E02112345678901":                        -1,
	} {
		s := Decode([]byte(strings.ReplaceAll(frame, "~", gs1.GS)), Options{})
		if s.Problem == nil || s.Problem.At != at {
			t.Errorf("%q: %+v, want byte %d", frame, s.Problem, at)
		}
	}
}

func TestDigitalLinks(t *testing.T) {
	const uri = "https://id.gs1.org/01/09506000134352/10/ABC?17=261231"
	for id, symbology := range map[string]string{"]Q1": "QRCODE", "]d1": "DATAMATRIX", "]z0": "AZTEC", "]J0": "OTHER", "]h0": "HANXIN", "]L2": "PDF417", "]C0": "Code128", "": "UNKNOWN"} {
		s := Decode([]byte(id+uri), Options{})
		if say(s) != symbology+" "+uri+" 09506000134352 - item -" || len(s.Elements()) != 3 {
			t.Errorf("%s: %s, %v", id, say(s), s.Elements())
		}
	}
	run(t, []labelTest{
		{"]Q1HTTPS://A/gtin/4006381333931", Options{}, "QRCODE HTTPS://A/gtin/4006381333931 04006381333931 - item -"},
		{"]Q1https://a/255/9506000134352123", Options{}, "QRCODE https://a/255/9506000134352123 - - coupon -"},
		{"]Q1https://a/8018/061414199999999997", Options{}, "QRCODE https://a/8018/061414199999999997 - - other -"},
		{"]Q1https://a/01/09506000134353", Options{}, "QRCODE https://a/01/09506000134353 - - item check-digit"},
		{"]Q1https://a/01/09506000134352?17=261331", Options{}, "QRCODE https://a/01/09506000134352?17=261331 09506000134352 - item elements"},
		{"]Q1https://a/01/09506000134352?255=9506000134352", Options{}, "QRCODE https://a/01/09506000134352?255=9506000134352 09506000134352 - coupon pairs"},
		{"]Q1https://a/01/09506000134352/x", Options{}, "QRCODE https://a/01/09506000134352/x 09506000134352 - item digital-link"},
		{"]Q1https://example.com/AQnYUc1gmiCNV4JGIA", Options{}, "QRCODE https://example.com/AQnYUc1gmiCNV4JGIA - - other digital-link"},
		{"]Q1https://blog.example/2024/01/some-post", Options{}, "QRCODE https://blog.example/2024/01/some-post - - other -"},
		{"]Q1hello", Options{}, "QRCODE hello - - other -"},
		{uri, Options{IDs: IDsAIM}, "UNKNOWN " + uri + " 09506000134352 - item unknown-symbology"},
		{"QR" + uri, Options{IDs: IDsDatalogic}, "QRCODE " + uri + " 09506000134352 - item -"},
	})
}

func TestCoupons(t *testing.T) {
	run(t, []labelTest{
		{"]e08110106141416543213500110000310123196000", Options{}, "GS1DATABAR_E 8110106141416543213500110000310123196000 - - coupon -"},
		{"]e081101061414165432135001100003101331", Options{}, "GS1DATABAR_E 81101061414165432135001100003101331 - - coupon elements"},
		{"]Q38112001234561234560123456", Options{}, "GS1QRCODE 8112001234561234560123456 - - coupon -"},
		{"]Q38112201234561234560123456", Options{}, "GS1QRCODE 8112201234561234560123456 - - coupon elements"},
		{"]C12559506000134352", Options{}, "EAN128 2559506000134352 - - coupon -"},
		{"]E00512345678900", Options{}, "UPCA 512345678900 00512345678900 - coupon -"},
		{"]E00512345678900]e08110106141416543213500110000310123196000", Options{}, "UPCA 512345678900 00512345678900 - coupon -"},
		{"]E09923456789019", Options{}, "EAN13 9923456789019 09923456789019 - coupon -"},
		{"]E09812345678902", Options{}, "EAN13 9812345678902 09812345678902 - coupon -"},
	})
}

// TestKnown: a driver that knows the symbology says so.
func TestKnown(t *testing.T) {
	k := func(s Symbology) Options { return Options{Known: s} }
	run(t, []labelTest{
		{"036000291452", k(UPCA), "UPCA 036000291452 00036000291452 - item -"},
		{"03600029145", k(UPCA), "UPCA 036000291452 00036000291452 - item -"},
		{"0036000291452", k(UPCA), "UPCA 036000291452 00036000291452 - item -"},
		{"036000291453", k(UPCA), "UPCA 036000291453 - - item check-digit"},
		{"0360002914", k(UPCA), "UPCA 0360002914 - - item length"},
		{"03600029145212", k(UPCAS), "UPCA_S 036000291452 00036000291452 12 item -"},
		{"0360002914512", k(UPCAS), "UPCA_S 036000291452 00036000291452 12 item -"},
		{"03600029145212345", k(UPCAS), "UPCA_S 036000291452 00036000291452 12345 item -"},
		{"0360002914512345", k(UPCAS), "UPCA_S 036000291452 00036000291452 12345 item -"},
		{"4006381333931", k(EAN13), "EAN13 4006381333931 04006381333931 - item -"},
		{"400638133393", k(EAN13), "EAN13 4006381333931 04006381333931 - item -"},
		{"400638133393112", k(EAN13S), "EAN13_S 4006381333931 04006381333931 12 item -"},
		{"40063813339312345", k(EAN13S), "EAN13_S 4006381333931 04006381333931 12345 item -"},
		{"73513537", k(EAN8), "EAN8 73513537 00000073513537 - item -"},
		{"7351353", k(EAN8), "EAN8 73513537 00000073513537 - item -"},
		{"735135312345", k(EAN8S), "EAN8_S 73513537 00000073513537 12345 item -"},
		{"04252614", k(UPCE), "UPCE 04252614 00042100005264 - item -"},
		{"0425261", k(UPCE), "UPCE 04252614 00042100005264 - item -"},
		{"425261", k(UPCE), "UPCE 04252614 00042100005264 - item -"},
		{"042526112", k(UPCES), "UPCE_S 04252614 00042100005264 12 item -"},
		{"0109501101530003~10A", k(EAN128), "EAN128 0109501101530003~10A 09501101530003 - item -"},
		{"09501101530003", k(GS1DataBar), "GS1DATABAR 09501101530003 09501101530003 - item -"},
		{"0109501101530003", k(GS1DataBar), "GS1DATABAR 09501101530003 09501101530003 - item -"},
		{"036000291452", k(Code128), "Code128 036000291452 - - other -"},
		{"]C0ABC", k(Code128), "Code128 ]C0ABC - - other -"}, // no identifier is looked for
		{"https://a/01/09506000134352", k(QRCode), "QRCODE https://a/01/09506000134352 09506000134352 - item -"},
		{"036000291452", k(Unknown), "UPCA 036000291452 00036000291452 - item -"},
		{"", k(UPCA), "UNKNOWN - - - other empty"},
		{"036000291452|]e010ABC", k(UPCA), "UPCA 036000291452 00036000291452 - item -"},
		{"04252614|]e010ABC", k(UPCE), "UPCE 04252614 00042100005264 - item -"},
		{"OCR A", k(OCRA), "OCRA OCR A - - other -"},
		{"10614141000415", k(ITF), "ITF 10614141000415 10614141000415 - item -"},
		{"x", k(UPCES), "UPCE x - - item charset"},
		{"0000000ʊ0", k(EAN8S), "EAN8 0000000ʊ0 - - item charset"}, // not cut within a character
	})
}

func TestMeasure(t *testing.T) {
	p1, _ := gs1.ParsePattern("2IIIIIVPP.PPC")
	p2, _ := gs1.ParsePattern("29IIIIIWW.WWWC kg")
	for frame, want := range map[string]string{
		"212345928752":                         "00212345000007 28.75",
		"0212345928752":                        "00212345000007 28.75",
		"]E00212345928752":                     "00212345000007 28.75",
		"212345828755":                         "00212345000007 measure",
		"2912345017507":                        "02912345000004 1.750 kg",
		"]E02912345017509":                     "", // a wrong check digit
		"]I002912345017507":                    "", // no number of a shop comes in ITF
		"4006381333931":                        "",
		"]e001950123456789033103001750":        " 1.750 kg",
		"]e0019501234567890331030017503922299": " 2.99 1.750 kg",
		"]Q1https://a/01/95012345678903?3103=001750&3932=978299": " 2.99 EUR 1.750 kg",
		"]E04006381333931|]e03103001750":                         " 1.750 kg",
		"]E02912345017507|]e017261231":                           "02912345000004 1.750 kg",
	} {
		m := Decode([]byte(frame), Options{}).Measure([]gs1.Pattern{p1, p2})
		got := string(m.Reference)
		if m.Price != nil {
			got += " " + m.Price.String()
		}
		if m.Weight != nil {
			got += " " + m.Weight.String()
		}
		if m.Problem != "" {
			got += " measure"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", frame, got, want)
		}
	}
}

func TestLinear(t *testing.T) {
	for s, want := range map[Symbology]bool{UPCA: true, EAN13S: true, EAN128: true, GS1DataBarE: true, Code39: true, QRCode: false, GS1DataMatrix: false, Aztec: false, OtherType: false, Unknown: false, PDF417: false} {
		if s.Linear() != want {
			t.Errorf("%s: Linear is %v", s, !want)
		}
	}
}

// TestScansOfOthers: a scan that was put together by hand has its elements too.
func TestScansOfOthers(t *testing.T) {
	for _, frame := range []string{"]e00109501101530003", "]C10109501101530003~10A", "]E02112345678900|]e01099991234~98COMP", "]Q1https://a/01/09506000134352/10/A", "]Q10109501101530003", "036000291452", "]J10109501101530003~10A"} {
		s := Decode([]byte(strings.ReplaceAll(frame, "~", gs1.GS)), Options{})
		other := Scan{Data: s.Data, Label: s.Label, Symbology: s.Symbology}
		if a, b := s.Elements(), other.Elements(); gs1.FormatBracketed(a) != gs1.FormatBracketed(b) {
			t.Errorf("%s: %v and %v", frame, a, b)
		}
	}
}
