package gs1

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// values gives elements as "ai=value" words.
func values(elements []Element) string {
	words := make([]string, len(elements))
	for i, e := range elements {
		words[i] = e.AI + "=" + e.Value
	}
	return strings.Join(words, " ")
}

// The first three are of the General Specifications' figures, the coupon of the
// GS1 North American Coupon Application Guideline; ~ stands for GS.
var goodElements = []struct{ raw, bracketed, want string }{
	{"01095011015300031714070410AB-123", "(01)09501101530003(17)140704(10)AB-123", "01=09501101530003 17=140704 10=AB-123"},
	{"00106141412345678908", "(00)106141412345678908", "00=106141412345678908"},
	{"01950123456789033103001750", "(01)95012345678903(3103)001750", "01=95012345678903 3103=001750"},
	{"8110106141416543213500110000310123196000", "(8110)106141416543213500110000310123196000", "8110=106141416543213500110000310123196000"},
	{"~0109501101530003", "", "01=09501101530003"},                                                               // FNC1 in front
	{"0109501101530003~21A~10B", "", "01=09501101530003 21=A 10=B"},                                              // FNC1 where none is needed
	{"010950110153000310AB~", "", "01=09501101530003 10=AB"},                                                     // FNC1 at the end
	{"010950110153000310A(1)B~21(99", "(01)09501101530003(10)A(1)B(21)(99", "01=09501101530003 10=A(1)B 21=(99"}, // parentheses in data
	{"01095011015300033012~392299", "(01)09501101530003(30)12(3922)99", "01=09501101530003 30=12 3922=99"},
	{"01095011015300038008250131235959", "(01)09501101530003(8008)250131235959", "01=09501101530003 8008=250131235959"}, // optional minutes and seconds
	{"0109501101530003800825013123", "(01)09501101530003(8008)25013123", "01=09501101530003 8008=25013123"},
	{"010950110153000311250200", "(01)09501101530003(11)250200", "01=09501101530003 11=250200"}, // day 00
	{"4109501101530003421840CH~4109501101530003", "(410)9501101530003(421)840CH(410)9501101530003", "410=9501101530003 421=840CH 410=9501101530003"},
	{"8018061414199999999997~80195", "(8018)061414199999999997(8019)5", "8018=061414199999999997 8019=5"},
}

func TestParseElements(t *testing.T) {
	for _, c := range goodElements {
		raw := strings.ReplaceAll(c.raw, "~", GS)
		got, err := ParseElements(raw)
		if err != nil || values(got) != c.want {
			t.Errorf("ParseElements(%q) = %s, %v, want %s", c.raw, values(got), err, c.want)
		}
		if c.bracketed == "" {
			continue
		}
		if FormatElements(got) != raw || FormatBracketed(got) != c.bracketed {
			t.Errorf("%q is written %q and %q", c.raw, FormatElements(got), FormatBracketed(got))
		}
		if b, err := ParseBracketed(c.bracketed); err != nil || values(b) != c.want {
			t.Errorf("ParseBracketed(%q) = %s, %v, want %s", c.bracketed, values(b), err, c.want)
		}
	}
}

// TestElementsAreWhole holds titles and places.
func TestElementsAreWhole(t *testing.T) {
	raw, err := ParseElements(GS + "01950123456789033103001750" + "10A")
	if err != nil {
		t.Fatal(err)
	}
	bracketed, err := ParseBracketed("(01)95012345678903(3103)001750(10)A")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Element{{"01", "GTIN", "95012345678903", 1}, {"3103", "NET WEIGHT (kg)", "001750", 17}, {"10", "BATCH/LOT", "A", 27}} {
		if raw[i] != want {
			t.Errorf("got %+v, want %+v", raw[i], want)
		}
		want.At = []int{1, 19, 31}[i]
		if bracketed[i] != want {
			t.Errorf("in brackets: got %+v, want %+v", bracketed[i], want)
		}
	}
	if coupon, _ := ParseElements("81120012345612345601" + "23456"); coupon[0].Title != "COUPON CODE" {
		t.Errorf("the dictionary does not name AI 8112, and nobody else does: %+v", coupon)
	}
}

// TestBadElements wants the error of the first bad element, and all elements
// that can be told apart beside it.
func TestBadElements(t *testing.T) {
	for raw, want := range map[string]struct{ reason, elements string }{
		"":                                {"there are no elements", ""},
		"~":                               {"there are no elements", ""},
		"0":                               {"byte 0: no known AI", ""},
		"05123":                           {"byte 0: no known AI", ""},
		"hello":                           {"byte 0: no known AI", ""},
		"٠١":                              {"byte 0: no known AI", ""}, // digits that are not ASCII
		"0109501101530003~10A~80":         {"byte 21: an AI is cut off", "01=09501101530003 10=A"},
		"10A~43x0":                        {"byte 4: an AI is cut off", "10=A"},
		"0109501101530003~4399X~7999Y":    {"AI (4399), byte 17: GS1 has given out no such AI", "01=09501101530003 4399=X"},
		"04123":                           {"AI (04), byte 0: GS1 has given out no such AI", "04=123"},
		"010950110153000":                 {"AI (01), byte 15: its data is too short", "01=0950110153000"},
		"11250~10A":                       {"AI (11), byte 5: its data is too short", "11=250 10=A"},
		"0109501101530004":                {"AI (01), byte 15: the check digit is 4, and 3 was computed", "01=09501101530004"},
		"010950110153000x10A":             {"AI (01), byte 15: its data may only be digits", "01=0950110153000x 10=A"},
		"1125133110A":                     {"AI (11), byte 2: its date", "11=251331 10=A"},
		"17230229":                        {"AI (17), byte 2: its date", "17=230229"},
		"17240431":                        {"AI (17), byte 2: its date", "17=240431"},
		"17240001":                        {"AI (17), byte 2: its date", "17=240001"},
		"10A~17240001":                    {"AI (17), byte 6: its date", "10=A 17=240001"},
		"800825010024":                    {"AI (8008), byte 4: its date", "8008=25010024"},
		"800825010124":                    {"AI (8008), byte 10: its time", "8008=25010124"},
		"80082501012360":                  {"AI (8008), byte 12: its time", "8008=2501012360"},
		"10~21A":                          {"AI (10), byte 2: its data is too short", "10= 21=A"},
		"10ABCDEFGHIJKLMNOPQRSTU":         {"AI (10), byte 22: its data is too long; FNC1 (GS) may be missing", "10=ABCDEFGHIJKLMNOPQRSTU"},
		"10A B":                           {"AI (10), byte 3: its data holds a character", "10=A B"},
		"10Ä":                             {"AI (10), byte 2: its data holds a character", "10=Ä"},
		"42284":                           {"AI (422), byte 5: its data is too short", "422=84"},
		"4228400":                         {"AI (422), byte 6: its data is too long", "422=8400"},
		"8018061414199999999990~17251301": {"AI (8018), byte 21: the check digit", "8018=061414199999999990 17=251301"},
		"8010abc":                         {"AI (8010), byte 4: its data holds a character", "8010=abc"}, // CSET 39 has capitals alone
		"8030a+b":                         {"AI (8030), byte 5: its data holds a character", "8030=a+b"}, // base64url
	} {
		got, err := ParseElements(strings.ReplaceAll(raw, "~", GS))
		if err == nil || !strings.HasPrefix(err.Error(), want.reason) || values(got) != want.elements {
			t.Errorf("ParseElements(%q) = %s, %v", raw, values(got), err)
		}
		var element *ElementError
		if !errors.As(err, &element) {
			t.Errorf("ParseElements(%q): error of type %T", raw, err)
		}
		var check *CheckDigitError
		if errors.As(err, &check) != strings.Contains(want.reason, "the check digit") {
			t.Errorf("ParseElements(%q): a check digit error or none: %v", raw, err)
		}
	}
	for _, s := range []string{"", "01)09501101530003", "()1", "(1)2", "(05)1", "(01)0950110153000", "(01)095011015300030", "(14)123", "(10)A" + GS + "(21)B"} {
		if got, err := ParseBracketed(s); err == nil {
			t.Errorf("ParseBracketed(%q) = %s", s, values(got))
		}
	}
	if _, err := ParseBracketed("(01)09501101530003(17)251331"); err == nil || !strings.HasPrefix(err.Error(), "AI (17), byte 22: its date") {
		t.Errorf("a bad date in brackets: %v", err)
	}
}

// TestErrorsKeepSilent: a value may be the number of a person.
func TestErrorsKeepSilent(t *testing.T) {
	for _, s := range []string{"8018061414199999999990", "80180614141999999999", "8018061414199999999997123", "253061414199999x", "10" + strings.Repeat("7", 30)} {
		_, err := ParseElements(s)
		if err == nil || strings.Contains(err.Error(), "0614141") || strings.Contains(err.Error(), "777") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestHasCoupon(t *testing.T) {
	for raw, want := range map[string]bool{
		"8110106141416543213500110000310123196000": true,
		"81120":                true,
		"2559501101530003":     true,
		"8100712345":           true,
		"0109501101530003":     false,
		"10A":                  false,
		"0109501101530003~255": true,
	} {
		elements, _ := ParseElements(strings.ReplaceAll(raw, "~", GS))
		if got := HasCoupon(elements); got != want {
			t.Errorf("HasCoupon(%s) = %v", raw, got)
		}
	}
}

// TestTable holds the table in order, and against the lengths that the first
// two digits of an AI tell.
func TestTable(t *testing.T) {
	if !slices.IsSortedFunc(definitions[:], func(a, b definition) int { return strings.Compare(a.from, b.from) }) {
		t.Error("not in order")
	}
	for i := range definitions {
		d := &definitions[i]
		for _, ai := range []string{d.from, d.to} {
			if n := int(prefixOf(ai).length); n != len(ai) {
				t.Errorf("AI %s has not the length %d", ai, n)
			}
			if lookup(ai) != d {
				t.Errorf("AI %s is not found", ai)
			}
		}
		most := 0
		for _, c := range d.parts {
			most += int(c.most)
		}
		if n := int(prefixOf(d.from).predefined); d.has(predefined) != (n > 0) || n > 0 && n != most || most == 0 || most > 90 {
			t.Errorf("AI %s has %d characters, and %d predefined", d.from, most, n)
		}
		for _, pattern := range strings.FieldsFunc(d.req+","+d.ex+","+d.qualifiers, func(r rune) bool { return strings.ContainsRune(",;+|", r) }) {
			if lookup(strings.ReplaceAll(pattern, "n", "0")) == nil {
				t.Errorf("AI %s goes with %s, which is none", d.from, pattern)
			}
		}
	}
	for _, ai := range []string{"", "1", "04", "23", "236", "3106", "3999", "8113", "29", "011", "0x", "x1"} {
		if lookup(ai) != nil {
			t.Errorf("AI %s is found", ai)
		}
	}
	if len(definitions) != 224 {
		t.Errorf("%d lines", len(definitions))
	}
}

func TestPersonsAndThings(t *testing.T) {
	for ai, want := range map[string][2]bool{ // personal, thing
		"01": {false, true}, "00": {false, true}, "253": {false, true}, "255": {false, true}, "8004": {false, true}, "8003": {false, true},
		"401": {false, true}, "8010": {false, true}, "410": {false, true}, "10": {false, true}, "21": {false, true}, "8040": {false, true},
		"8017": {true, false}, "8018": {true, false}, "8019": {true, false}, "7253": {true, false}, "4301": {true, false}, "4308": {true, false},
		"7250": {true, false}, "91": {false, false}, "240": {false, false}, "400": {false, false}, "8020": {false, false}, "17": {false, false},
		"7240": {false, false}, "4320": {false, false}, "0": {false, false},
	} {
		if got := [2]bool{Personal(ai), Thing(ai)}; got != want {
			t.Errorf("AI %s: personal, thing = %v, want %v", ai, got, want)
		}
	}
}

// TestNothingIsAllocated: what is good is read without a trace.
func TestNothingIsAllocated(t *testing.T) {
	for _, s := range []string{"01095011015300031714070410AB-123" + GS + "21XYZ", "00106141412345678908", "8110106141416543213500110000310123196000"} {
		if n := testing.AllocsPerRun(100, func() {
			var buf [8]Element
			elements, err := AppendElements(buf[:0], s, 0)
			if err != nil || CheckPairs(elements) != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%q: %v allocations", s, n)
		}
	}
	for _, uri := range []string{"https://id.gs1.org/01/09506000134352/10/ABC/21/1?17=261231&x=y", "https://example.com/a/b"} {
		if n := testing.AllocsPerRun(100, func() {
			var buf [8]Element
			if _, _, err := AppendLink(buf[:0], uri); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%q: %v allocations", uri, n)
		}
	}
}

// same reports whether elements are the same, wherever they stand.
func same(a, b []Element) bool { return values(a) == values(b) && len(a) == len(b) }

func FuzzElements(f *testing.F) {
	for _, c := range goodElements {
		f.Add(strings.ReplaceAll(c.raw, "~", GS))
	}
	f.Add("0109501101530003" + GS + "7003251301")
	f.Fuzz(func(t *testing.T, s string) {
		elements, err := AppendElements(nil, s, 3)
		last := 3
		for _, e := range elements {
			at := e.At - 3
			if e.At < last || at+len(e.AI)+len(e.Value) > len(s) || s[at:at+len(e.AI)+len(e.Value)] != e.AI+e.Value {
				t.Fatalf("%q: %+v does not stand there", s, e)
			}
			last = e.At + len(e.AI) + len(e.Value)
		}
		var element *ElementError
		switch {
		case err != nil && (!errors.As(err, &element) || element.At > len(s)+3):
			t.Fatalf("%q: %v", s, err)
		case err != nil:
			return
		}
		raw := FormatElements(elements)
		if again, err := AppendElements(nil, raw, 0); err != nil || !same(again, elements) || FormatElements(again) != raw {
			t.Fatalf("%q is written %q, which is %v, %v", s, raw, again, err)
		}
		CheckPairs(elements)
	})
}

func FuzzBracketed(f *testing.F) {
	for _, c := range goodElements {
		f.Add(c.bracketed)
	}
	f.Add("(10)A(1)B(21)(99")
	f.Fuzz(func(t *testing.T, s string) {
		elements, err := ParseBracketed(s)
		if err != nil {
			return
		}
		if FormatBracketed(elements) != s {
			t.Fatalf("%q is written %q", s, FormatBracketed(elements))
		}
		if again, err := ParseElements(FormatElements(elements)); err != nil || !same(again, elements) {
			t.Fatalf("%q is %v, written %q, which is %v, %v", s, elements, FormatElements(elements), again, err)
		}
	})
}

func BenchmarkParseElements(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var buf [8]Element
		elements, err := AppendElements(buf[:0], "01095011015300031714070410AB-123\x1d21XYZ", 0)
		if err != nil || CheckPairs(elements) != nil {
			b.Fatal(err)
		}
	}
}

func TestElementComponents(t *testing.T) {
	for _, c := range []struct {
		ai, value string
		want      []string
		verified  bool
	}{
		{"3932", "97812345", []string{"978", "12345"}, false},
		{"8003", "01231231231232" + "ABC", []string{"0", "1231231231232", "ABC"}, true},
		{"253", "9506000134352", []string{"9506000134352"}, true},
		{"253", "9506000134353", []string{"9506000134353"}, false}, // a wrong check digit
		{"00", "106141412345678908", []string{"106141412345678908"}, true},
		{"00", "106141412345678908" + "9", []string{"106141412345678908", "9"}, false}, // too long
		{"10", "ABC", []string{"ABC"}, false},
		{"89", "ABC", []string{"ABC"}, false}, // no such AI
		{"10", "", nil, false},
	} {
		e := Element{AI: c.ai, Value: c.value}
		if got := e.Components(); !slices.Equal(got, c.want) {
			t.Errorf("(%s)%s: %q", c.ai, c.value, got)
		}
		if e.Verified() != c.verified {
			t.Errorf("(%s)%s: verified is %v", c.ai, c.value, !c.verified)
		}
	}
}
