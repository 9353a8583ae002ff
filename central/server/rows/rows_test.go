package rows

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"posd/identity"
	"posd/tid"
)

const (
	home   = "hh:mfrggzdfmztwq"
	pseudo = "d1:mfrggzdfmztwq2lknnwg23tpoa"
)

func parser(t testing.TB, headings string) *Parser {
	t.Helper()
	if headings == "" {
		return NewParser(NDJSON)
	}
	p := NewParser(CSV)
	if err := p.Headings([]byte(headings)); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRows(t *testing.T) {
	id, _ := identity.ParseHHID(home)
	const head = "\ufefffamily,household,hhid,kind,tid,deident_tid,opted_out"
	for _, tc := range []struct {
		headings, line string
		want           Row
		says           string
	}{
		{"", `{"household":"` + home + `","deident_tid":"` + pseudo + `"}`, Row{Household: id, DeIdentTID: pseudo}, ""},
		{"", ` { "family" : "sm\u00efth" , "kind":"phone" , "tid":"+14155552671", "household": null } `, Row{Family: []byte("smïth"), Kind: tid.Phone, TID: []byte("14155552671")}, ""},
		{"", `{"hhid":"` + home + `","kind":"payment","deident_tid":"` + pseudo + `","tid":"4111111111111111","opted_out":true}`, Row{HHID: id, DeIdentTID: pseudo, Kind: tid.Payment, TID: []byte("4111111111111111"), OptedOut: true}, ""},
		{head, `smith,,,payment,4111111111111111,,`, Row{Family: []byte("smith"), Kind: tid.Payment, TID: []byte("4111111111111111")}, ""},
		{head, `"s,m""ith","",,"payment","4111111111111111",,false`, Row{Family: []byte(`s,m"ith`), Kind: tid.Payment, TID: []byte("4111111111111111")}, ""},
		{head, `,` + home + `,,,,` + pseudo + `,`, Row{Household: id, DeIdentTID: pseudo}, ""},
		{head, `smith,,,payment,4111111111111111,`, Row{}, "as many cells"},
		{head, `smith,,,payment,4111111111111111,,,`, Row{}, "as many cells"},
		{head, `"smith,,,payment,4111111111111111,,`, Row{}, "quote"},
		{head, `smi"th,,,payment,4111111111111111,,`, Row{}, "quote"},
		{head, `"smi"th,,,payment,4111111111111111,,`, Row{}, "quote"},
		{head, `smith,,,payment,4111111111111111,,yes`, Row{}, "opted_out must be"},
		{"", `{}`, Row{}, "give one of household"},
		{"", `{"family":"a","hhid":"` + home + `","kind":"payment","tid":"4111"}`, Row{}, "give one of household"},
		{"", `{"family":"a"}`, Row{}, "give deident_tid, or kind and tid"},
		{"", `{"family":"a","deident_tid":"` + pseudo + `"}`, Row{}, "not a family"},
		{"", `{"household":"` + home + `","deident_tid":"` + pseudo + `","kind":"payment","tid":"4111"}`, Row{}, "not both"},
		{"", `{"family":"a","tid":"4111"}`, Row{}, "kind must be"},
		{"", `{"family":"a","kind":"4111","tid":"4111"}`, Row{}, "kind must be"},
		{"", `{"family":"a","kind":"payment","tid":4111}`, Row{}, "string of digits"},
		{"", `{"family":"a","kind":"payment","tid":"\u0034111"}`, Row{}, "string of digits"},
		{"", `{"family":"a","kind":"payment","tid":"+"}`, Row{}, "string of digits"},
		{"", `{"family":4111,"kind":"payment","tid":"4111"}`, Row{}, "the field family must be a string"},
		{"", `{"family":"a","kind":"payment","tid":"4111","opted_out":"true"}`, Row{}, "opted_out must be"},
		{"", `{"family":"a","kind":"payment","tid":"4111","tid":"5555"}`, Row{}, "twice"},
		{"", `{"family":"a","kind":"payment","pan":"4111"}`, Row{}, "a field other than"},
		{"", `{"family":"a","kind":"payment","tid":"4111"}{}`, Row{}, "it is not JSON"},
		{"", `{"family":"a"`, Row{}, "it is not JSON"},
		{"", `4111`, Row{}, "not a JSON object"},
		{"", `4111,` + home, Row{}, "it is not JSON"},
		{"", `{"household":"4111"}`, Row{}, "parse household id"},
		{"", `{"family":"` + strings.Repeat("x", MaxLine) + `"}`, Row{}, "longer than 4096"},
	} {
		line := []byte(tc.line)
		var r Row
		err := parser(t, tc.headings).Parse(line, &r)
		if tc.says != "" {
			if err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "4111") {
				t.Errorf("%.80s: %v, want %q", tc.line, err, tc.says)
			}
		} else if got, want := plain(r), plain(tc.want); err != nil || got != want {
			t.Errorf("%.80s: %s, %v, want %s", tc.line, got, err, want)
		}
		if string(line) != tc.line {
			t.Errorf("%.80s: the line was changed, to %s", tc.line, line)
		}
	}
}

func plain(r Row) string {
	text, _ := json.Marshal(r)
	return string(text)
}

func TestHeadings(t *testing.T) {
	for _, bad := range []string{"", "family,pan", "family,kind,family", `"family`, "4111111111111111,x"} {
		if err := NewParser(CSV).Headings([]byte(bad)); err == nil || strings.Contains(err.Error(), "4111") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestFormatOf(t *testing.T) {
	for _, tc := range []struct{ said, path, want string }{
		{"", "a.csv", "csv"}, {"", "a.CSV", "csv"}, {"", "-", "ndjson"}, {"", "a.jsonl", "ndjson"}, {"csv", "-", "csv"}, {"", "a.txt", ""}, {"xml", "a.csv", ""},
	} {
		if got, err := FormatOf(tc.said, tc.path); string(got) != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%q %q: %q, %v", tc.said, tc.path, got, err)
		}
	}
}

// TestExportsCanBeRead reads what an export writes.
func TestExportsCanBeRead(t *testing.T) {
	secret, err := tid.FromCanonical(tid.Payment, []byte("4111111111111111"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []Format{NDJSON, CSV} {
		for _, with := range []bool{false, true} {
			for _, out := range []bool{false, true} {
				e := Export{HHID: identity.HHID{1}, Kind: identity.Payment, DeIdent: [16]byte{2}, DeIdentVersion: 3, OptedOut: out, TID: secret}
				p := NewParser(f)
				if f == CSV {
					if err := p.Headings(bytes.TrimSpace(AppendHeadings(nil, f, with))); err != nil {
						t.Fatal(err)
					}
				}
				line := Append(nil, f, e, with)
				var r Row
				err := p.Parse(bytes.TrimSuffix(line, []byte("\n")), &r)
				want := Row{HHID: e.HHID, DeIdentTID: identity.MakeDeIdentTID(3, e.DeIdent), Kind: tid.Payment, OptedOut: out}
				if with {
					want.TID = []byte("4111111111111111")
				}
				if err != nil || plain(r) != plain(want) {
					t.Errorf("%s: %s, %v", line, plain(r), err)
				}
			}
		}
	}
}

func FuzzNDJSON(f *testing.F) {
	f.Add([]byte(`{"household":"hh:mfrggzdfmztwq","deident_tid":"d1:mfrggzdfmztwq2lknnwg23tpoa"}`))
	f.Add([]byte(`{"family":"x\n","kind":"payment","tid":"4111111111111111"}`))
	f.Add([]byte(`{"hhid":null,"family":"x","kind":"payment","tid":"+4111","opted_out":false}`))
	fuzz(f, "")
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte(`smith,,,payment,4111111111111111,,`))
	f.Add([]byte(`"a""b",,"",payment,"4111111111111111",,true`))
	fuzz(f, "family,household,hhid,kind,tid,deident_tid,opted_out")
}

// fuzz makes sure that nothing panics, that errors tell no digits, that the line stays,
// and that a row which is read is one that encoding/json would read alike.
func fuzz(f *testing.F, headings string) {
	run := regexp.MustCompile("[0-9]{5}")
	f.Fuzz(func(t *testing.T, line []byte) {
		before := string(line)
		var r Row
		err := parser(t, headings).Parse(line, &r)
		if string(line) != before {
			t.Error("the line was changed")
		}
		if err != nil {
			if run.MatchString(err.Error()) {
				t.Errorf("the error tells digits: %v", err)
			}
			return
		}
		var peer struct {
			Family, TID *string
		}
		if headings == "" && bytes.ContainsAny(line, "\x00") == false {
			if err := json.Unmarshal(line, &peer); err != nil {
				t.Errorf("encoding/json does not read it: %v", err)
			} else if peer.TID != nil && strings.TrimPrefix(*peer.TID, "+") != string(r.TID) {
				t.Errorf("another number")
			}
		}
	})
}
