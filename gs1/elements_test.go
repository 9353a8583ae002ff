package gs1

import (
	"errors"
	"reflect"
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
	{"~0109501101530003", "", "01=09501101530003"},                  // FNC1 in front
	{"0109501101530003~21A~10B", "", "01=09501101530003 21=A 10=B"}, // FNC1 where none is needed
	{"10AB~", "", "10=AB"}, // FNC1 at the end
	{"10A(1)B~21(99", "(10)A(1)B(21)(99", "10=A(1)B 21=(99"},            // parentheses in data
	{"3012~3724~392299", "(30)12(37)24(3922)99", "30=12 37=24 3922=99"}, // all variable
	{"8008250131235959", "(8008)250131235959", "8008=250131235959"},     // optional minutes and seconds
	{"800825013123", "(8008)25013123", "8008=25013123"},                 //
	{"11250200", "(11)250200", "11=250200"},
	{"11240229", "(11)240229", "11=240229"}, // day 00
	{"4109501101530003421840CH~422840", "(410)9501101530003(421)840CH(422)840", "410=9501101530003 421=840CH 422=840"},
	{"8018061414199999999997~8020R1~8005000123", "(8018)061414199999999997(8020)R1(8005)000123", "8018=061414199999999997 8020=R1 8005=000123"},
	{"4399X~7999Y", "(4399)X", ""},                                    // the second is no AI: see TestBadElements
	{"8299anything~100", "(8299)anything(10)0", "8299=anything 10=0"}, // not given out, but its length is known
}

func TestParseElements(t *testing.T) {
	for _, c := range goodElements {
		if c.want == "" {
			continue
		}
		raw := strings.ReplaceAll(c.raw, "~", GS)
		got, err := ParseElements(raw)
		if err != nil || values(got) != c.want {
			t.Errorf("ParseElements(%q) = %s, %v, want %s", c.raw, values(got), err, c.want)
		}
		if c.bracketed == "" {
			continue
		}
		if FormatElements(got) != raw {
			t.Errorf("FormatElements gives %q, want %q", FormatElements(got), raw)
		}
		if b, err := ParseBracketed(c.bracketed); err != nil || !reflect.DeepEqual(b, got) {
			t.Errorf("ParseBracketed(%q) = %s, %v, want %s", c.bracketed, values(b), err, c.want)
		}
	}
}

func TestElementTitles(t *testing.T) {
	elements, err := ParseElements("0195012345678903310300175010A")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"GTIN", "NET WEIGHT (kg)", "BATCH/LOT"} {
		if elements[i].Title != want {
			t.Errorf("(%s) has the title %q, want %q", elements[i].AI, elements[i].Title, want)
		}
	}
}

// TestBadElements wants the error of the first bad element, and all elements
// that can be told apart beside it.
func TestBadElements(t *testing.T) {
	for raw, want := range map[string]struct{ reason, elements string }{
		"":                                {"the element string is empty", ""},
		"~":                               {"the element string is empty", ""},
		"0":                               {"no known AI", ""},
		"05123":                           {"no known AI", ""},
		"hello":                           {"no known AI", ""},
		"10A~80":                          {"an AI is cut off", "10=A"},
		"10A~43x0":                        {"an AI is cut off", "10=A"},
		"0109501101530003~4399X~7999Y":    {"no known AI", "01=09501101530003 4399=X"},
		"010950110153000":                 {"AI (01): its data has not the 14", ""},
		"11250~10A":                       {"AI (11): its data has not the 6", ""},
		"0109501101530004":                {"AI (01): the check digit is 4, and 3 was computed", "01=09501101530004"},
		"010950110153000x10A":             {"AI (01): its data may only be digits", "01=0950110153000x 10=A"},
		"1125133110A":                     {"AI (11): its date", "11=251331 10=A"},
		"17230229":                        {"AI (17): its date", "17=230229"},
		"17240431":                        {"AI (17): its date", "17=240431"},
		"17240001":                        {"AI (17): its date", "17=240001"},
		"800825010024":                    {"AI (8008): its date", "8008=25010024"},
		"800825010124":                    {"AI (8008): its time", "8008=25010124"},
		"80082501012360":                  {"AI (8008): its time", "8008=2501012360"},
		"10~21A":                          {"AI (10): its data is too short", "10= 21=A"},
		"10ABCDEFGHIJKLMNOPQRSTU":         {"AI (10): its data is too long", "10=ABCDEFGHIJKLMNOPQRSTU"},
		"10A B":                           {"AI (10): its data holds a character", "10=A B"},
		"10Ä":                             {"AI (10): its data holds a character", "10=Ä"},
		"4399~10A":                        {"AI (4399): its data has 0 characters", "4399= 10=A"},
		"42284":                           {"AI (422): its data is too short", "422=84"},
		"4228400":                         {"AI (422): its data is too long", "422=8400"},
		"8018061414199999999990~17251301": {"AI (8018): the check digit", "8018=061414199999999990 17=251301"},
	} {
		got, err := ParseElements(strings.ReplaceAll(raw, "~", GS))
		if err == nil || !strings.HasPrefix(err.Error(), want.reason) || values(got) != want.elements {
			t.Errorf("ParseElements(%q) = %s, %v", raw, values(got), err)
		}
		var element *ElementError
		var check *CheckDigitError
		if !errors.As(err, &element) && !errors.As(err, &check) {
			t.Errorf("ParseElements(%q): error of type %T", raw, err)
		}
	}
	for _, s := range []string{"", "01)09501101530003", "()1", "(1)2", "(05)1", "(01)0950110153000", "(01)095011015300030", "(14)123", "(10)A" + GS + "(21)B"} {
		if got, err := ParseBracketed(s); err == nil {
			t.Errorf("ParseBracketed(%q) = %s", s, values(got))
		}
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
	for i, d := range definitions {
		if i > 0 && definitions[i-1].to >= d.from {
			t.Errorf("%s overlaps the one before", d.from)
		}
		for _, ai := range []string{d.from, d.to} {
			if n := aiLength(ai[:2]); n != len(ai) {
				t.Errorf("AI %s has not the length %d", ai, n)
			}
			if lookup(ai) != d {
				t.Errorf("AI %s is not found", ai)
			}
		}
		most := 0
		for component := range strings.FieldsSeq(d.spec) {
			format, _, _ := strings.Cut(component, ",")
			format = strings.Trim(format, "[]")
			n, variable := componentLength(format[1:])
			if most += n; variable && predefined(d.from) > 0 {
				t.Errorf("AI %s is variable and predefined", d.from)
			}
		}
		if n := predefined(d.from); n > 0 && n != most {
			t.Errorf("AI %s has %d characters, and %d predefined", d.from, most, n)
		}
		if d.title == "" || most == 0 || most > 90 {
			t.Errorf("AI %s is not whole: %+v", d.from, d)
		}
	}
	for _, ai := range []string{"04", "3106", "3999", "8111", "29"} {
		if d := lookup(ai); d.spec != "" {
			t.Errorf("AI %s is found: %+v", ai, d)
		}
	}
}

func FuzzElements(f *testing.F) {
	for _, c := range goodElements {
		f.Add(strings.ReplaceAll(c.raw, "~", GS))
		f.Add(c.bracketed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		elements, err := ParseElements(s)
		n := 0
		for _, e := range elements {
			n += len(e.AI) + len(e.Value)
		}
		if n > len(s) {
			t.Fatalf("%q gives more than it holds: %v", s, elements)
		}
		if err == nil {
			raw := FormatElements(elements)
			if again, err := ParseElements(raw); err != nil || !reflect.DeepEqual(again, elements) {
				t.Fatalf("%q is written %q, which is %v, %v", s, raw, again, err)
			}
		}
		if b, err := ParseBracketed(s); err == nil {
			if again, err := ParseElements(FormatElements(b)); err != nil || !reflect.DeepEqual(again, b) {
				t.Fatalf("%q is %v, written %q, which is %v, %v", s, b, FormatElements(b), again, err)
			}
		}
	})
}

func BenchmarkParseElements(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseElements("01095011015300031714070410AB-123\x1d21XYZ"); err != nil {
			b.Fatal(err)
		}
	}
}
