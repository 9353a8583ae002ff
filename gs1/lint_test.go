package gs1

import (
	"fmt"
	"strings"
	"testing"
)

// lintTests are, for each rule, data that hold it and data that break it. A * is
// put before the byte where they break it. Many are of the tests of GS1's own
// reference implementation (lint_*.c of the GS1 Barcode Syntax Dictionary); check
// pairs and IBANs are those that their publishers print.
var lintTests = map[lint]struct{ good, bad string }{
	lintCsumalpha: {
		"22 !22 1987654Ad4X4bL5ttr2310c2K 12345678901234567890123NT 12345_ABCDEFGHIJKLMCP 12345_nopqrstuvwxyzP2 57453Uq3qA<H67 99999zzzzzzzzzzzzzzzzzzT2",
		"*2 *33 1987654Ad4X4bL5ttr2310c*XK 1987654Ad4X4bL5ttr2310c*2X",
	},
	lintGcppos1:     {"0123 0123A 950600013435", "012* 01*A3 *A123"},
	lintGcppos2:     {"90123 95012345678903", "9012* x01*A3"},
	lintHasnondigit: {"A 1A 12345678-", "*1 *123"},
	lintYymmdd:      {"250131 240229 000229 251231", "*250132 *230229 *251301 *250001 *250100 *250431"},
	lintYymmd0:      {"250131 250200 240229", "*251300 *250000 *250230"},
	lintYyyymmdd:    {"20250131 20240229 20000229 18991231", "*19000229 *20250230 *20251301 *20250100"},
	lintHh:          {"00 23", "*24 *99"},
	lintMi:          {"00 59", "*60"},
	lintSs:          {"00 59", "*60"},
	lintHhmi:        {"0000 2359", "*2400 *2360"},
	lintHyphen:      {"-", "*x *0"},
	lintIban: {
		"FR7630006000011234567890189 DE91100000000123456789 MU43BOMM0101123456789101000MUR GB98MIDL07009312345678 BE71096123456769 MT90MALT011000012345MTLCAST001SABC",
		"BE*71096123456760 LC*14BOSL123456789012345678901230 *XX361234567890 *BE7 *MT90MALT011000012345MTLCAST001SABCDE LC14BOSL*x23456789012345678901234",
	},
	lintImporteridx:   {"- _ 0 9 A Z a z", "*. */ *:"},
	lintIso3166:       {"004 276 840 894", "*000 *249 *999"},
	lintIso3166999:    {"999 004 894", "*000 *998"},
	lintIso3166alpha2: {"AD DE ZW", "*AA *ZZ *de *04"},
	lintIso4217:       {"008 840 978 999 924 532", "*000 *001 *975 *191"},
	lintIso5218:       {"0 1 2 9", "*3 *8"},
	lintLatitude:      {"0000000000 1800000000 0279085848", "*1800000001"},
	lintLongitude:     {"0000000000 3600000000", "*3600000001"},
	lintMediatype:     {"01 10 80 99", "*00 *11 *79"},
	lintNonzero:       {"1 0001", "*0 *0000"},
	lintNozeroprefix:  {"1 10", "*0 *01"},
	lintPackagetype:   {"1A 200 8 9 APE ZZ X3", "*1 *0 *00 *A *20 *X *APEX *1C"},
	lintPcenc:         {"A %00 %fF ABC%20XYZ", "*%g0 AB*%2 AB*% A%20*%0g"},
	lintPieceoftotal:  {"11 23 0103 9899", "*01 *10 *00 *21 *0908 *0001"},
	lintPosinseqslash: {"1/1 2/3 9/10 10/10", "*0/1 *1/0 *2/1 *11/9 *01/2 *1/02 */1 *1/ *x/1 *12"},
	lintWinding:       {"0 1 9", "*2 *8"},
	lintYesno:         {"0 1", "*2"},
	lintZero:          {"0 00", "*1 *01"},
	lintCouponcode: {
		"012345612345611110123 106141416543213500110000310123196000 106141411234562751106501013085093140131 " +
			"012345612345611110123101101236123456789012 012345612345611110123101101239 01234561234561111012321101230123456 " +
			"0123456123456111101233250131 01234561234561111012332501314250101 01234561234561111012359123456789012345 012345612345611110123611234567 01234561234561111012390001",
		"*x 0*12345x 012345* 0123456* *712345 0123456123456*0 01234561234561* 012345612345611*0 01234561234561111*5 012345612345611110* " +
			"012345612345611110123*0 012345612345611110123*7 0123456123456111101231* 0123456123456111101231*4 01234561234561111012310*0 " +
			"01234561234561111012310110123*7 0123456123456111101233*251301 0123456123456111101233250131*8 " +
			"01234561234561111012332501314*250201 0123456123456111101236*0 01234561234561111012361*123456x",
	},
	lintCouponposoffer: {
		"001234561234560123456 101234561234560123456 061234567890121234569123456789012345",
		"* 0* *201234561234560123456 0*7 00123* 00123456* 001234561234560* 001234561234560123456*7 00*12345x",
	},
}

func TestLint(t *testing.T) {
	for l, c := range lintTests {
		for _, data := range strings.Split(c.good, " ") {
			if pos, reason := l.check(data); reason != "" {
				t.Errorf("rule %b: %q is bad at %d: %s", l, data, pos, reason)
			}
		}
		for _, marked := range strings.Split(c.bad, " ") {
			want := strings.Index(marked, "*")
			data := strings.Replace(marked, "*", "", 1)
			if pos, reason := l.check(data); reason == "" || pos != want {
				t.Errorf("rule %b: %q is bad at %d, %q, want %d", l, data, pos, reason, want)
			}
		}
	}
}

// TestEveryRuleIsTested: a rule that no AI uses, and one that no test does, is
// one too many.
func TestEveryRuleIsTested(t *testing.T) {
	used := lint(0)
	for _, d := range definitions {
		for _, c := range d.parts {
			used |= c.lint
		}
	}
	for l := lintCsum; l <= lintCouponposoffer; l <<= 1 {
		if used&l == 0 {
			t.Errorf("no AI has the rule %b", l)
		}
		if _, tested := lintTests[l]; !tested && l != lintCsum {
			t.Errorf("no test has the rule %b", l)
		}
	}
}

// TestLists holds the lists of codes in order and whole.
func TestLists(t *testing.T) {
	for name, c := range map[string]struct {
		list  string
		width int
		want  int
	}{"countries": {countries, 5, 249}, "currencies": {currencies, 6, 178}} {
		last, seen := "", map[string]bool{}
		for i := 0; i+c.width <= len(c.list); i += c.width {
			digits, letters := c.list[i:i+3], c.list[i+3:i+c.width]
			if digits <= last || seen[letters] || !IsDigits(digits) || strings.Trim(letters, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
				t.Errorf("%s: %s%s is not in its place", name, digits, letters)
			}
			last, seen[letters] = digits, true
		}
		if len(c.list) != c.width*c.want {
			t.Errorf("%s: %d of %d", name, len(c.list)/c.width, c.want)
		}
	}
	if Country("840") != "US" || Country("004") != "AF" || Country("894") != "ZM" || Country("276") != "DE" || Currency("978") != "EUR" || Currency("392") != "JPY" {
		t.Error("a code has the letters of another")
	}
	for _, code := range strings.Fields(packages) {
		if !isPackage(code) {
			t.Errorf("%s is in the list, and not found", code)
		}
	}
}

// TestComponents: optional parts, several rules, all sets.
func TestComponents(t *testing.T) {
	for _, c := range []struct {
		ai, good, bad string
	}{
		{"253", "9506000134352 9506000134352A1", "950600013435* 950600013435*3 9506000134352*^"},
		{"255", "9506000134352 9506000134352123456789012", "9506000134352*A 9506000134352123456789012*3"},
		{"423", "276 276840 276840004008012", "276*000 27684* 276840004008012*0"},
		{"4309", "02790858483600000000", "0279085848*3600000001 *18000000010000000000 0279085848360000000*"},
		{"4330", "001234 001234-", "001234*+ 00123*"},
		{"4324", "2501010000 2501002359", "250101*2400 *2513010000"},
		{"7007", "250101 250101251231", "250101*251301 2501012512*"},
		{"7040", "1ABC 1AB-", "*xABC 1AB*. 1AB*"},
		{"8001", "00010000100110 12345678901291", "*00000000100110 0001*0000000110 000100001*00010 000100001001*20"},
		{"8003", "09506000134352 09506000134352A", "*19506000134352 0950600013435*3"},
		{"8006", "095060001343520102", "0950600013435*30102 09506000134352*0201"},
		{"8010", "12345A/-#", "12345*a 1234*% *A123"},
		{"8011", "1 123456789012", "*01 123456789012*3"},
		{"8013", "1987654Ad4X4bL5ttr2310c2K", "1987654Ad4X4bL5ttr2310c*XK"},
		{"8014", "1987654Ad4X4bL5ttr2310c2K", "*222222889922 1987654Ad4X4bL5ttr2310c*XK"},
		{"8030", "aZ09-_ aZ09= aZ0==", "a*+ *=== aZ*=0"},
		{"8043", "123456789012345678 1234567890123456781", "12345678901234567* 12345678901234567812*3"},
		{"3910", "978123", "*000123 978*"},
		{"01", "09506000134352 00000073513537", "*A9506000134352 0950600013435*3"},
	} {
		d := lookup(c.ai)
		for _, data := range strings.Fields(c.good) {
			if err := d.check(c.ai, data, 0); err != nil {
				t.Errorf("(%s) %q: %v", c.ai, data, err)
			}
		}
		for _, marked := range strings.Fields(c.bad) {
			want := strings.Index(marked, "*")
			data := strings.Replace(marked, "*", "", 1)
			err := d.check(c.ai, data, 0)
			if err == nil || err.At != want {
				t.Errorf("(%s) %q is bad at %v, want %d", c.ai, data, err, want)
			}
		}
	}
}

func TestNextPrime(t *testing.T) {
	got, p := "", 1
	for range 12 {
		p = nextPrime(p)
		got += fmt.Sprint(p, " ")
	}
	if got != "2 3 5 7 11 13 17 19 23 29 31 37 " {
		t.Error(got)
	}
}
