package scanner

import (
	"fmt"
	"strings"
	"testing"

	"posd/gs1"
)

// say writes a scan in one line: symbology, label, GTIN, add-on, kind, code of
// the problem.
func say(s Scan) string {
	code := "-"
	if s.Problem != nil {
		code = s.Problem.Code
	}
	return fmt.Sprintf("%s %s %s %s %s %s", s.Symbology, or(s.Label), or(string(s.GTIN)), or(s.AddOn), s.Kind, code)
}

func or(s string) string {
	if s == "" {
		return "-"
	}
	return strings.ReplaceAll(s, gs1.GS, "~")
}

type labelTest struct {
	frame string // ~ is GS
	opt   Options
	want  string
}

func run(t *testing.T, tests []labelTest) {
	t.Helper()
	for _, c := range tests {
		frame := strings.ReplaceAll(c.frame, "~", gs1.GS)
		got := Decode([]byte(frame), c.opt)
		if say(got) != c.want {
			t.Errorf("%q %+v:\n got %s\nwant %s", c.frame, c.opt, say(got), c.want)
		}
		if string(got.Data) != frame {
			t.Errorf("%q: Data is %q", c.frame, got.Data)
		}
	}
}

func TestDecodeDigits(t *testing.T) {
	run(t, []labelTest{
		{"036000291452", Options{}, "UPCA 036000291452 00036000291452 - item -"},
		{"4006381333931", Options{}, "EAN13 4006381333931 04006381333931 - item -"},
		{"0036000291452", Options{}, "EAN13 0036000291452 00036000291452 - item -"}, // the scanner made it one
		{"73513537", Options{}, "EAN8 73513537 00000073513537 - item -"},
		{"04252614", Options{}, "UPCE 04252614 00042100005264 - item -"},
		{"10614141000415", Options{}, "ITF 10614141000415 10614141000415 - item -"},
		{"512345678900", Options{}, "UPCA 512345678900 00512345678900 - coupon -"},
		{"9923456789019", Options{}, "EAN13 9923456789019 09923456789019 - coupon -"},

		{"036000291453", Options{}, "UPCA 036000291453 - - item check-digit"},
		{"73513538", Options{}, "EAN8 73513538 - - item check-digit"},
		{"04252615", Options{}, "UPCE 04252615 - - item check-digit"},
		{"4006381333932", Options{}, "UNKNOWN 4006381333932 - - other check-digit"},
		{"30569309025904", Options{}, "UNKNOWN 30569309025904 - - other check-digit"}, // a card, not ITF

		{"9780201379624 51995", Options{}, "EAN13_S 9780201379624 09780201379624 51995 item -"},
		{"036000291452 12", Options{}, "UPCA_S 036000291452 00036000291452 12 item -"},
		{"036000291453 12", Options{}, "UNKNOWN 036000291453 12 - - other -"},
		{"036000291452 123", Options{}, "UNKNOWN 036000291452 123 - - other -"},

		{"4111111111111111", Options{}, "UNKNOWN 4111111111111111 - - other -"},
		{"378282246310005", Options{}, "UNKNOWN 378282246310005 - - other -"}, // 15 digits are no EAN-13 with add-on
		{"0425261", Options{}, "UNKNOWN 0425261 - - other -"},
		{"EMP-1234", Options{}, "UNKNOWN EMP-1234 - - other -"},
		{"", Options{}, "UNKNOWN - - - other empty"},
		{"0360\x00291452", Options{}, "UNKNOWN - - - other not-text"},
		{"00512345678900", Options{}, "ITF 00512345678900 00512345678900 - item -"}, // no coupon comes in ITF
		{"A\u0081B", Options{}, "UNKNOWN - - - other not-text"},
		{"\xff\xfe\x81", Options{}, "UNKNOWN - - - other not-text"},
		{"Grüße, 你好", Options{}, "UNKNOWN Grüße, 你好 - - other -"},
	})
}

// TestDecodeEightDigits: 01234505 is right as UPC-E and as EAN-8.
func TestDecodeEightDigits(t *testing.T) {
	both, alsoBoth := "", ""
	for n := range 10_000_000 {
		digits := fmt.Sprintf("%08d", n+10_000_000*(n%2))
		_, err := gs1.ExpandUPCE(digits)
		if err == nil && gs1.VerifyCheckDigit(digits) == nil {
			if digits[0] == '0' && both == "" {
				both = digits
			}
			if digits[0] == '1' && alsoBoth == "" {
				alsoBoth = digits
			}
		}
		if both != "" && alsoBoth != "" {
			break
		}
	}
	upca, _ := gs1.ExpandUPCE(both)
	run(t, []labelTest{
		{both, Options{}, "UPCE " + both + " 00" + upca + " - item -"},
		{both, Options{Prefer: UPCE}, "UPCE " + both + " 00" + upca + " - item -"},
		{both, Options{Prefer: EAN8}, "EAN8 " + both + " 000000" + both + " - item -"},
		{alsoBoth, Options{}, "EAN8 " + alsoBoth + " 000000" + alsoBoth + " - item ambiguous"},
		{alsoBoth, Options{Prefer: EAN8}, "EAN8 " + alsoBoth + " 000000" + alsoBoth + " - item -"},
		{"04252614", Options{Prefer: EAN8}, "UPCE 04252614 00042100005264 - item -"}, // no EAN-8
		{"73513537", Options{Prefer: UPCE}, "EAN8 73513537 00000073513537 - item -"}, // no UPC-E
	})
}

// The forms are those of the Datalogic Magellan reference guides (9800i, AIM
// formats), of ISO/IEC 15424, and of the scan data tests of the GS1 Barcode
// Syntax Engine.
func TestDecodeAIM(t *testing.T) {
	run(t, []labelTest{
		{"]E00036000291452", Options{}, "UPCA 036000291452 00036000291452 - item -"},
		{"08]E00036000291452", Options{IDs: IDsNCR}, "UPCA 036000291452 00036000291452 - item -"},
		{"]Q1Gr\xfcn", Options{}, "QRCODE Grün - - other -"}, // ISO 8859-1
		{"]Q1Gr\x8cn", Options{}, "UNKNOWN - - - other not-text"},
		{"Gr\xfcn", Options{}, "UNKNOWN - - - other not-text"},
		{"]E00042100005264", Options{}, "UPCA 042100005264 00042100005264 - item -"}, // was a UPC-E: nothing says so
		{"]E04006381333931", Options{}, "EAN13 4006381333931 04006381333931 - item -"},
		{"]E01101234567891]E112", Options{}, "EAN13_S 1101234567891 01101234567891 12 item -"},
		{"]E01101234567891]E212345", Options{}, "EAN13_S 1101234567891 01101234567891 12345 item -"},
		{"]E31101234567891" + "12", Options{}, "EAN13_S 1101234567891 01101234567891 12 item -"},
		{"]E31101234567891" + "12345", Options{}, "EAN13_S 1101234567891 01101234567891 12345 item -"},
		{"]E3003600029145212", Options{}, "UPCA_S 036000291452 00036000291452 12 item -"},
		{"]E303600029145212", Options{}, "UPCA_S 036000291452 00036000291452 12 item -"}, // 12 digits, not 13
		{"]E37351353712", Options{}, "EAN8_S 73513537 00000073513537 12 item -"},
		{"]E30425261412345", Options{}, "UPCE_S 04252614 00042100005264 12345 item -"},
		{"]E473513537", Options{}, "EAN8 73513537 00000073513537 - item -"},
		{"]E473513537]E112", Options{}, "EAN8_S 73513537 00000073513537 12 item -"},
		{"]E57351353712", Options{}, "EAN8_S 73513537 00000073513537 12 item -"},       // Datalogic
		{"]E67351353712345", Options{}, "EAN8_S 73513537 00000073513537 12345 item -"}, // Datalogic
		{"]E1110123456789112", Options{}, "EAN13_S 1101234567891 01101234567891 12 item -"},
		{"]E2110123456789112345", Options{}, "EAN13_S 1101234567891 01101234567891 12345 item -"},
		{"]E112", Options{}, "OTHER 12 - 12 other length"},
		{"]E212345", Options{}, "OTHER 12345 - 12345 other length"},
		{"]E20000A", Options{}, "EAN13 0000A - - item charset"},
		{"]E0036000291452", Options{}, "UPCA 036000291452 00036000291452 - item -"}, // not filled to 13
		{"]E004252614", Options{}, "UPCE 04252614 00042100005264 - item -"},         // not expanded
		{"]E073513537", Options{}, "UPCE 73513537 - - item format"},                 // ]E0 is no EAN-8
		{"]E04006381333932", Options{}, "EAN13 4006381333932 - - item check-digit"},
		{"]E0400638133393", Options{}, "UPCA 400638133393 - - item check-digit"},
		{"]E040063813339312", Options{}, "EAN13 40063813339312 - - item length"},
		{"]E0", Options{}, "EAN13 - - - item length"},
		{"]E4735135", Options{}, "EAN8 735135 - - item length"},
		{"]E0400638133393x", Options{}, "EAN13 400638133393x - - item charset"},
		{"]E04006381333931]E1x2", Options{}, "EAN13 4006381333931 04006381333931 - item charset"},
		{"]E04006381333931]F112", Options{}, "EAN13 4006381333931 04006381333931 - item charset"},
		{"]E02112345678900|]e01099991234~98COMP", Options{}, "EAN13 2112345678900 02112345678900 - item -"},
		{"]E00512345678900]C08100000951", Options{}, "UPCA 512345678900 00512345678900 - coupon -"},

		{"]C10109501101530003~10A", Options{}, "EAN128 0109501101530003~10A 09501101530003 - item -"},
		{"]C1~0109501101530003", Options{}, "EAN128 0109501101530003 09501101530003 - item -"},
		{"]d201095011015300031714070410AB-123", Options{}, "GS1DATAMATRIX 01095011015300031714070410AB-123 09501101530003 - item -"},
		{"]Q3011231231231233310ABC123~99TESTING", Options{}, "GS1QRCODE 011231231231233310ABC123~99TESTING 12312312312333 - item -"},
		{"]J10109501101530003", Options{}, "OTHER 0109501101530003 09501101530003 - item -"},
		{"]e00109501101530003", Options{}, "GS1DATABAR 09501101530003 09501101530003 - item -"},
		{"]e00109501101530004", Options{}, "GS1DATABAR 09501101530004 - - item check-digit"},
		{"]e001095011015300033103001750", Options{}, "GS1DATABAR_E 01095011015300033103001750 09501101530003 - item -"},
		{"]e08110106141416543213500110000310123196000", Options{}, "GS1DATABAR_E 8110106141416543213500110000310123196000 - - coupon -"},
		{"]C100106141412345678908", Options{}, "EAN128 00106141412345678908 - - other -"},
		{"]C18018061414199999999997", Options{}, "EAN128 8018061414199999999997 - - other -"},
		{"]C10109501101530004~10A", Options{}, "EAN128 0109501101530004~10A - - item check-digit"},
		{"]C1hello", Options{}, "EAN128 hello - - other elements"},
		{"]C1", Options{}, "EAN128 - - - other elements"},

		{"]C0ABC-123", Options{}, "Code128 ABC-123 - - other -"},
		{"]C0036000291452", Options{}, "Code128 036000291452 - - other -"}, // not a UPC-A
		{"]A0*ABC*", Options{}, "Code39 ABC - - other -"},
		{"]A0ABC", Options{}, "Code39 ABC - - other -"},
		{"]F0A123A", Options{}, "Codabar A123A - - other -"},
		{"]G0AB", Options{}, "Code93 AB - - other -"},
		{"]I010614141000415", Options{}, "ITF 10614141000415 10614141000415 - item -"},
		{"]I31061414100041", Options{}, "ITF 10614141000415 10614141000415 - item -"}, // check digit left out
		{"]I010614141000416", Options{}, "ITF 10614141000416 - - item check-digit"},
		{"]I0123456", Options{}, "ITF 123456 - - other -"},
		{"]I0123x", Options{}, "ITF 123x - - other charset"},
		{"]L2hello", Options{}, "PDF417 hello - - other -"},
		{"]d1hello", Options{}, "DATAMATRIX hello - - other -"},
		{"]z0hello", Options{}, "AZTEC hello - - other -"},
		{"]X0hello", Options{}, "OTHER hello - - other -"},
		{"]y0hello", Options{}, "UNKNOWN hello - - other unknown-symbology"},
		{"]", Options{}, "UNKNOWN ] - - other -"},
		{"]E00036000291452", Options{IDs: IDsAIM}, "UPCA 036000291452 00036000291452 - item -"},
		{"036000291452", Options{IDs: IDsAIM}, "UPCA 036000291452 00036000291452 - item unknown-symbology"},
		{"036000291453", Options{IDs: IDsAIM}, "UPCA 036000291453 - - item check-digit"},
	})
}

// NCR 7895 (Prefix Default Label Identifiers) and 7870 (unique ones, EAN-8 as F
// and EAN-13 as G). UPC-E comes without check digit.
func TestDecodeNCR(t *testing.T) {
	ncr := Options{IDs: IDsNCR}
	short := Options{IDs: IDsNCR, NumberSystemAbsent: true}
	shortest := Options{IDs: IDsNCR, NumberSystemAbsent: true, CheckDigitAbsent: true}
	run(t, []labelTest{
		{"A036000291452", ncr, "UPCA 036000291452 00036000291452 - item -"},
		{"A36000291452", short, "UPCA 036000291452 00036000291452 - item -"},
		{"A3600029145", shortest, "UPCA 036000291452 00036000291452 - item -"},
		{"A36000291453", short, "UPCA 036000291453 - - item check-digit"},
		{"A36000291452", ncr, "UPCA 36000291452 - - item length"},
		{"E0425261", ncr, "UPCE 04252614 00042100005264 - item -"},
		{"E04252614", ncr, "UPCE 04252614 00042100005264 - item -"},
		{"E04252615", ncr, "UPCE 04252615 - - item check-digit"},
		{"E425261", short, "UPCE 04252614 00042100005264 - item -"},
		{"E4252614", short, "UPCE 04252614 00042100005264 - item -"},
		{"E425261", shortest, "UPCE 04252614 00042100005264 - item -"},
		{"E425261", ncr, "UPCE 425261 - - item length"},
		{"E042100005264", ncr, "UPCE 042100005264 00042100005264 - item -"}, // extended to UPC-A
		{"E042526112", ncr, "UPCE_S 04252614 00042100005264 12 item -"},
		{"E042526112345", ncr, "UPCE_S 04252614 00042100005264 12345 item -"},
		{"E0120003", ncr, "UPCE 0120003 - - item format"},
		{"FF73513537", ncr, "EAN8 73513537 00000073513537 - item -"},
		{"F73513537", ncr, "EAN8 73513537 00000073513537 - item -"},
		{"F4006381333931", ncr, "EAN13 4006381333931 04006381333931 - item -"},
		{"G4006381333931", ncr, "EAN13 4006381333931 04006381333931 - item -"},
		{"G400638133393112", ncr, "EAN13_S 4006381333931 04006381333931 12 item -"},
		{"B1ABC", ncr, "Code39 ABC - - other -"},
		{"1ABC", ncr, "Code39 ABC - - other -"},
		{"B210614141000415", ncr, "ITF 10614141000415 10614141000415 - item -"},
		{"B3ABC", ncr, "Code128 ABC - - other -"},
		{"]e00109501101530003", ncr, "GS1DATABAR 09501101530003 09501101530003 - item -"},
		{"036000291452", ncr, "UPCA 036000291452 00036000291452 - item unknown-symbology"},
	})
}

// Datalogic Magellan reference guides, hand-held data formats.
func TestDecodeDatalogic(t *testing.T) {
	dl := Options{IDs: IDsDatalogic}
	run(t, []labelTest{
		{"A060992011187", dl, "UPCA 060992011187 00060992011187 - item -"},
		{"A06099201118712", dl, "UPCA_S 060992011187 00060992011187 12 item -"},
		{"A06099201118712345", dl, "UPCA_S 060992011187 00060992011187 12345 item -"},
		{"A0060992011187", dl, "UPCA 060992011187 00060992011187 - item -"}, // made an EAN-13
		{"E04252614", dl, "UPCE 04252614 00042100005264 - item -"},
		{"E0425261412", dl, "UPCE_S 04252614 00042100005264 12 item -"},
		{"E0425261412345", dl, "UPCE_S 04252614 00042100005264 12345 item -"},
		{"E]E00042100005264", dl, "UPCE 042100005264 00042100005264 - item -"}, // AIM made it an EAN-13
		{"E]E004252614", dl, "UPCE 04252614 00042100005264 - item -"},
		{"E]E3004210000526412", dl, "UPCA_S 042100005264 00042100005264 12 item -"},
		{"E]E00042100005265", dl, "UPCE 042100005265 - - item check-digit"},
		{"E0425261", dl, "UPCE 0425261 - - item length"},
		{"E0425261", Options{IDs: IDsDatalogic, CheckDigitAbsent: true}, "UPCE 04252614 00042100005264 - item -"},
		{"F1101234567891", dl, "EAN13 1101234567891 01101234567891 - item -"},
		{"F110123456789112", dl, "EAN13_S 1101234567891 01101234567891 12 item -"},
		{"F1101234567891 12345", dl, "EAN13_S 1101234567891 01101234567891 12345 item -"},
		{"F110123456789", dl, "EAN13 110123456789 - - item length"},
		{"F110123456789", Options{IDs: IDsDatalogic, CheckDigitAbsent: true}, "EAN13 1101234567891 01101234567891 - item -"},
		{"F73513537", dl, "EAN13 73513537 - - item length"}, // F is EAN-13 alone
		{"FF73513537", dl, "EAN8 73513537 00000073513537 - item -"},
		{"FF7351353", Options{IDs: IDsDatalogic, CheckDigitAbsent: true}, "EAN8 73513537 00000073513537 - item -"},
		{"R40109501101530003", dl, "GS1DATABAR 09501101530003 09501101530003 - item -"},
		{"RX01095011015300033103001750", dl, "GS1DATABAR_E 01095011015300033103001750 09501101530003 - item -"},
		{"RL0109501101530003", dl, "GS1DATABAR_TYPE2 09501101530003 09501101530003 - item -"},
		{"]C10109501101530003", dl, "EAN128 0109501101530003 09501101530003 - item -"},
		{"B3ABC", dl, "Code128 ABC - - other -"},
		{"B1*ABC*", dl, "Code39 ABC - - other -"},
		{"%A123B", dl, "Codabar A123B - - other -"},
		{"QRhello", dl, "QRCODE hello - - other -"},
		{"Qg0109501101530003", dl, "GS1QRCODE 0109501101530003 09501101530003 - item -"},
		{"Dg0109501101530003", dl, "GS1DATAMATRIX 0109501101530003 09501101530003 - item -"},
		{"Dmhello", dl, "DATAMATRIX hello - - other -"},
		{"Phello", dl, "PDF417 hello - - other -"},
		{"A]E00036000291452", dl, "UPCA 036000291452 00036000291452 - item -"}, // label id and AIM id
		{"R4]e00109501101530003", dl, "GS1DATABAR 09501101530003 09501101530003 - item -"},
		{"Ahello", dl, "UPCA hello - - item charset"},
		{"?ABC", dl, "UNKNOWN ?ABC - - other unknown-symbology"},
	})
}

func TestDecodeHoneywellZebra(t *testing.T) {
	hw, zebra := Options{IDs: IDsHoneywell}, Options{IDs: IDsZebra}
	run(t, []labelTest{
		{"A0123456551251", zebra, "EAN13 0123456551251 00123456551251 - item ambiguous"},
		{"A0123456551250", zebra, "UPCE_S 01234565 00012345000065 51250 item -"},
		{"c036000291452", hw, "UPCA 036000291452 00036000291452 - item -"},
		{"E04252614", hw, "UPCE 04252614 00042100005264 - item -"},
		{"d4006381333931", hw, "EAN13 4006381333931 04006381333931 - item -"},
		{"D73513537", hw, "EAN8 73513537 00000073513537 - item -"},
		{"I0109501101530003", hw, "EAN128 0109501101530003 09501101530003 - item -"},
		{"jABC", hw, "Code128 ABC - - other -"},
		{"y0109501101530003", hw, "GS1DATABAR 09501101530003 09501101530003 - item -"},

		{"A036000291452", zebra, "UPCA 036000291452 00036000291452 - item -"},
		{"A4006381333931", zebra, "EAN13 4006381333931 04006381333931 - item -"},
		{"A04252614", zebra, "UPCE 04252614 00042100005264 - item -"},
		{"A73513537", zebra, "EAN8 73513537 00000073513537 - item -"},
		{"A03600029145212", zebra, "UPCA_S 036000291452 00036000291452 12 item -"},
		{"A123", zebra, "EAN13 123 - - item length"},
		{"K0109501101530003", zebra, "EAN128 0109501101530003 09501101530003 - item -"},
		{"P0Q0109501101530003", zebra, "GS1QRCODE 0109501101530003 09501101530003 - item -"},
		{"P01hello", zebra, "QRCODE hello - - other -"},
		{"DABC", zebra, "Code128 ABC - - other -"},
	})
}

// TestDecodePlainElements: element strings of scanners without identifiers.
func TestDecodePlainElements(t *testing.T) {
	run(t, []labelTest{
		{"01095011015300031714070410AB-123", Options{}, "UNKNOWN 01095011015300031714070410AB-123 09501101530003 - item -"},
		{"010950110153000310A~21B", Options{}, "UNKNOWN 010950110153000310A~21B 09501101530003 - item -"},
		{"8110106141416543213500110000310123196000", Options{}, "UNKNOWN 8110106141416543213500110000310123196000 - - coupon -"},
		{"0109501101530003", Options{}, "UNKNOWN 0109501101530003 - - other -"}, // as long as a card's number
		{"01095011015300041714070410AB-123", Options{}, "UNKNOWN 01095011015300041714070410AB-123 - - other -"},
		{"10A~21B", Options{}, "UNKNOWN 10A~21B - - other pairs"},
		{"17261231210123456789A", Options{}, "UNKNOWN 17261231210123456789A - - other -"}, // of no item, and of nothing that tells
	})
}

func TestScanElements(t *testing.T) {
	for frame, want := range map[string]string{
		"]e00109501101530003":                        "01",
		"]C10109501101530003~10A":                    "01 10",
		"]C10109501101530004~10A":                    "01 10", // bad, but told apart
		"]E02112345678900|]e01099991234~98COMP":      "10 98",
		"01095011015300031714070410AB-123":           "01 17 10",
		"]J10109501101530003~10A":                    "01 10",
		"]Q10109501101530003":                        "",
		"036000291452":                               "",
		"]C08018061414199999999997":                  "",
		"]E02112345678900|]e08018061414199999999997": "8018",
	} {
		s := Decode([]byte(strings.ReplaceAll(frame, "~", gs1.GS)), Options{})
		var ais []string
		for _, e := range s.Elements() {
			ais = append(ais, e.AI)
		}
		if got := strings.Join(ais, " "); got != want {
			t.Errorf("%q has the elements %q, want %q", frame, got, want)
		}
	}
}

func TestParseIDs(t *testing.T) {
	for _, name := range []string{"none", "aim", "ncr", "datalogic", "honeywell", "zebra"} {
		if ids, err := ParseIDs(name); err != nil || string(ids) != name {
			t.Errorf("ParseIDs(%q) = %q, %v", name, ids, err)
		}
	}
	if ids, err := ParseIDs(""); err != nil || ids != IDsNone {
		t.Errorf("ParseIDs of nothing = %q, %v", ids, err)
	}
	if _, err := ParseIDs("symbol"); err == nil || !strings.Contains(err.Error(), "zebra") {
		t.Errorf("an unknown preset: %v", err)
	}
}

// TestIDsAreTold: no identifier stands twice in a preset.
func TestIDsAreTold(t *testing.T) {
	for _, ids := range []IDs{IDsNCR, IDsDatalogic, IDsHoneywell, IDsZebra} {
		seen := map[string]bool{}
		for _, l := range ids.table() {
			if seen[l.id] {
				t.Errorf("%s: %q stands twice", ids, l.id)
			}
			seen[l.id] = true
			if got := identify([]byte(l.id), ids); got.symbology != l.symbology || got.length != len(l.id) {
				t.Errorf("%s: %q is read as %+v", ids, l.id, got)
			}
		}
	}
}

func TestDecodeKeepsNothing(t *testing.T) {
	frame := []byte("A036000291452")
	s := Decode(frame, Options{IDs: IDsDatalogic})
	for i := range frame {
		frame[i] = 'x'
	}
	if string(s.Data) != "A036000291452" || s.Label != "036000291452" || s.GTIN != "00036000291452" {
		t.Errorf("the scan changed with its frame: %s", say(s))
	}
}

// TestDecodeAllocates: a copy of the data, and one string of which label and
// GTIN are parts.
func TestDecodeAllocates(t *testing.T) {
	for frame, opt := range map[string]Options{
		"036000291452": {}, "]E04006381333931]E112": {}, "73513537": {}, "]E00036000291452": {}, "]E473513537": {}, "F400638133393": {IDs: IDsDatalogic, CheckDigitAbsent: true},
		"04252614": {}, "E0425261": {IDs: IDsNCR}, "E425261": {IDs: IDsNCR, NumberSystemAbsent: true}, "]E00042100005264": {}, "E]E00042100005264": {IDs: IDsDatalogic},
		"A3600029145": {IDs: IDsNCR, NumberSystemAbsent: true, CheckDigitAbsent: true}, "]I31061414100041": {},
		"A036000291452": {IDs: IDsNCR}, "FF73513537": {IDs: IDsDatalogic}, "c036000291452": {IDs: IDsHoneywell}, "A4006381333931": {IDs: IDsZebra},
		"9780201379624 51995": {}, "03600029145": {Known: UPCA}, "10614141000415": {}, "]I010614141000415": {}, "]C0ABC-123": {}, "]A0*ABC*": {}, "ABC": {},
		"]C10109501101530003" + gs1.GS + "10A": {}, "]d201095011015300031714070410AB-123": {}, "]e00109501101530003": {}, "]e001095011015300033103001750": {},
		"]e08110106141416543213500110000310123196000": {}, "01095011015300031714070410AB-123": {}, "]E02112345678900|]e01099991234" + gs1.GS + "98COMP": {},
		"]Q1https://id.gs1.org/01/09506000134352/10/ABC?17=261231&x=y": {}, "https://id.gs1.org/01/09506000134352": {}, "]Q1https://example.com/": {},
	} {
		b := []byte(frame)
		if got := testing.AllocsPerRun(100, func() { Decode(b, opt) }); got > 2 {
			t.Errorf("%q: %v allocations, want 2 at most", frame, got)
		}
	}
}
