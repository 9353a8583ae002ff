package gs1

import (
	"strings"
	"testing"
)

// The rules are those of the dictionary; the pairs are of the General
// Specifications 4.13 (invalid) and 4.14 (mandatory).
func TestCheckPairs(t *testing.T) {
	const gtin, sscc = "(01)09506000134352", "(00)106141412345678908"
	for bracketed, want := range map[string]string{
		gtin: "", sscc: "",
		gtin + "(10)A(21)B": "", gtin + "(10)A(10)A": "",
		gtin + "(3103)001750(3922)299": "", gtin + "(30)12(3932)978299": "",
		sscc + "(02)09506000134352(37)12":                        "",
		gtin + "(21)A(8040)123456789012345(8041)123456789012345": "",
		gtin + "(250)A(21)B":                                     "",
		"(415)9506000134352(8020)A(3902)100":                     "",
		"(255)9506000134352(3902)100":                            "",
		"(8110)012345612345611110123":                            "",
		"(8018)061414199999999997(7253)A":                        "",
		"(8010)12345(8011)1":                                     "",
		gtin + "(21)A(8030)abc":                                  "",
		gtin + "(99)A":                                           "",

		"(10)A":                             "AI (10), byte 1: it needs another AI beside it: 01 or 02 or 03 or 8006 or 8026",
		gtin + "(250)A":                     "AI (250), byte 19: it needs another AI beside it: 21",
		gtin + "(8030)abc":                  "AI (8030), byte 19: it needs another AI beside it: 00 or 01 with 21 or 253 or",
		gtin + "(21)A(8041)123456789012345": "AI (8041), byte 24: it needs another AI beside it: 01 with 21 with 8040",
		gtin + "(3922)299":                  "AI (3922), byte 19: it needs another AI beside it: 30 or 31nn or",
		sscc + "(37)12":                     "AI (37), byte 23: it needs another AI beside it: 02 or 8026",
		gtin + "(37)12":                     "AI (01), byte 1: it must not stand with AI (37)",
		gtin + "(255)9506000134352":         "AI (01), byte 1: it must not stand with AI (255)",
		"(02)09506000134352(37)1" + gtin:    "AI (02), byte 1: it must not stand with AI (01)",
		gtin + "(3102)001750(3103)001750":   "AI (3102), byte 19: it must not stand with AI (3103)",
		gtin + "(10)A(10)B":                 "AI (10), byte 24: it stands twice, and says two things",
		"(8017)061414199999999997(8018)0614141" + "99999999997": "AI (8017), byte 1: it must not stand with AI (8018)",
		"(420)A(421)840B": "AI (420), byte 1: it must not stand with AI (421)",
	} {
		elements, err := AppendElements(nil, "", 0)
		if elements, err = appendElements(nil, bracketed, 0, nextBracketed); err != nil {
			t.Errorf("%s: %v", bracketed, err)
			continue
		}
		switch err := CheckPairs(elements); {
		case want == "" && err != nil, want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)):
			t.Errorf("%s: %v, want %s", bracketed, err, want)
		}
		if _, err := ParseElements(FormatElements(elements)); (err == nil) != (want == "") {
			t.Errorf("%s: ParseElements gives %v", bracketed, err)
		}
	}
}

// TestPairsOfAllCarriers: a component above an EAN-13 stands with its GTIN.
func TestPairsOfAllCarriers(t *testing.T) {
	elements := []Element{{AI: "01", Value: "09506000134352"}}
	elements, err := AppendElements(elements, "10ABC", 17)
	if err != nil || CheckPairs(elements) != nil || elements[1].At != 17 {
		t.Errorf("%v, %v, %v", elements, err, CheckPairs(elements))
	}
	if CheckPairs(elements[1:]) == nil {
		t.Error("a batch without its item is good")
	}
}

func TestMatches(t *testing.T) {
	for pattern, ais := range map[string]string{"01": "01 !1 !0 !011", "310n": "3100 3105 !310 !3110 !31000", "35nn": "3500 3570 !3600 !35"} {
		for _, ai := range strings.Fields(ais) {
			if want := ai[0] != '!'; matches(pattern, strings.TrimPrefix(ai, "!")) != want {
				t.Errorf("matches(%s, %s) = %v", pattern, ai, !want)
			}
		}
	}
}
