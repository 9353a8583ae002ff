package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

const sample = `# A dictionary
# Release: 2030-01-02

00         *?  N18,csum,gcppos2                  dlpkey                  # SSCC
01         *?  N14,csum                          ex=255,37 dlpkey=22,10,21|235 # GTIN
10          ?  X..20                             req=01,02               # BATCH/LOT
235            X..28                             req=01                  # TPX
250         ?  X..30                             req=01,8006 req=21      # SECONDARY SERIAL
3100-3105  *?  N6                                req=01,02 ex=310n       # NET WEIGHT (kg)
8003        ?  N1,zero N13,csum [X..16]          dlpkey                  # GRAI
8030        ?  Z..90  req=00,01+21               # DIGSIG
8110        ?  X..70
91-99       ?  X..90                                                     # INTERNAL
`

func TestGenerate(t *testing.T) {
	source, err := Generate(sample)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"release 2030-01-02. DO NOT EDIT.",
		`{"00", "00", predefined | attribute | key, []component{{'N', 18, 18, false, lintCsum | lintGcppos2}}, "", "", "", "SSCC"},`,
		`{"01", "01", predefined | attribute | key, []component{{'N', 14, 14, false, lintCsum}}, "", "255,37", "22,10,21|235", "GTIN"},`,
		`{"235", "235", 0, []component{{'X', 1, 28, false, 0}}, "01", "", "", "TPX"},`,
		`{"250", "250", attribute, []component{{'X', 1, 30, false, 0}}, "01,8006;21", "", "", "SECONDARY SERIAL"},`,
		`{"3100", "3105", predefined | attribute,`,
		`[]component{{'N', 1, 1, false, lintZero}, {'N', 13, 13, false, lintCsum}, {'X', 1, 16, true, 0}}`,
		`{"8110", "8110", attribute, []component{{'X', 1, 70, false, 0}}, "", "", "", ""},`,
		"4:  {2, 16, 0, 0},",
		"14: {2, 6, 0, 0},",
		"23: {3, 0, 3, 1},",
		"31: {4, 6, 5, 1},",
		"95: {2, 0, 9, 1},",
	} {
		if !strings.Contains(string(source), want) {
			t.Errorf("the table lacks %s:\n%s", want, source)
		}
	}
	if strings.Contains(string(source), "\t41:") {
		t.Error("41 is in the table, whose AIs have a length that only the dictionary tells")
	}
}

func TestGenerateRefuses(t *testing.T) {
	for name, change := range map[string][2]string{
		"no release":             {"# Release", "# Issue"},
		"an unknown flag":        {"10          ? ", "10          !?"},
		"an unknown attribute":   {"dlpkey  ", "dlkey=1 "},
		"an unknown set":         {"X..28", "W..28"},
		"another order":          {"235            X", "011            X"},
		"other lengths":          {"235  ", "2500 "},
		"a wrong flag":           {"3100-3105  *?", "3100-3105   ?"},
		"a wrong length":         {"N14,csum", "N13,csum"},
		"a part after a varying": {"X..20 ", "X..20 N1"},
		"a part after optional":  {"[X..16]", "[X16] N1"},
		"no component":           {"X..20", ""},
		"no AI":                  {"10  ", "1x  "},
		"a bad pair":             {"req=01,02  ", "req=01,x02 "},
		"and among excluded":     {"ex=255,37", "ex=255+37"},
	} {
		text := strings.Replace(sample, change[0], change[1], 1)
		if text == sample {
			t.Errorf("%s: nothing was changed", name)
		}
		if _, err := Generate(text); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestTableIsTheDictionarys makes the table anew where the dictionary is at
// hand.
func TestTableIsTheDictionarys(t *testing.T) {
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("%s is not set: the table is not compared with the dictionary", variable)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Generate(string(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../table_gen.go")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("table_gen.go is not what the dictionary gives: run go generate ./gs1 (%v)", err)
	}
}
