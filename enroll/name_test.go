package enroll

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for text, want := range map[string]Name{
		"hhid://acme/s12/lane/lane-7": lane7,
		"hhid://acme/s12/posmain":     shop12,
		"hhid://acme/central":         centralName,
		"hhid://A.b_c-9/0/lane/1":     {"A.b_c-9", "0", Lane, "1"},
		"hhid://acme/central/posmain": {"acme", "central", POSMain, ""},
		"hhid://acme/lane/lane/lane":  {"acme", "lane", Lane, "lane"},
	} {
		n, err := ParseURI(text)
		if err != nil || n != want {
			t.Errorf("ParseURI(%q) = %+v, %v, want %+v", text, n, err, want)
		}
		if n.String() != text || n.URI().String() != text {
			t.Errorf("%+v reads %q, want %q", n, n, text)
		}
	}
	if got := lane7.LaneName(); got != "s12/lane-7" {
		t.Errorf("LaneName is %q", got)
	}
	if got := shop12.LaneName(); got != "" {
		t.Errorf("LaneName of a shop is %q", got)
	}
}

func TestBadNames(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, text := range []string{
		"", "hhid:", "hhid://", "hhid://acme", "hhid://acme/", "https://acme/central", "HHID://acme/central",
		"hhid://acme/lane", "hhid://acme/posmain", "hhid://acme/s12/central", "hhid://acme/s12/lane", "hhid://acme/s12/posmain/x",
		"hhid://acme/s12/lane/", "hhid://acme/s12/lane/1/2", "hhid://acme/s12/till/1", "hhid://acme//lane/1", "hhid:///s12/lane/1",
		"hhid://acme/s12/lane/a b", "hhid://acme/s12/lane/a%2fb", "hhid://acme/s12/lane/../1", "hhid://acme/s12/lane/é",
		"hhid://.acme/central", "hhid://" + long + "/central", "hhid://acme/s12/lane/1?x", "hhid://acme/s12/lane/1#x", "hhid://a@b/central",
		"hhid://acme/central\n", "hhid://acme/CENTRAL",
	} {
		if n, err := ParseURI(text); err == nil {
			t.Errorf("ParseURI(%q) = %+v, want an error", text, n)
		}
	}
	for _, n := range []Name{{}, {Role: Lane}, {"acme", "s12", "", "7"}, {"acme", "s12", Central, ""}, {"acme", "s12", POSMain, "7"}, {"acme", "", Lane, "7"}} {
		if n.Check() == nil {
			t.Errorf("%+v passes", n)
		}
	}
	if _, err := ParseRole("till"); err == nil {
		t.Error("ParseRole takes till")
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		want Name
		ok   bool
	}{
		{Name{}, true}, {Name{Role: Lane}, true}, {lane7, true}, {Name{Tenant: "acme", Shop: "s12"}, true},
		{Name{Role: POSMain}, false}, {Name{Tenant: "acne"}, false}, {Name{Shop: "s1"}, false}, {Name{Lane: "lane-8"}, false},
		{Name{Tenant: "acme", Shop: "s12", Role: Central}, false},
	} {
		if got := lane7.Matches(c.want); got != c.ok {
			t.Errorf("lane 7 matches %+v: %t, want %t", c.want, got, c.ok)
		}
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("hhid://acme/s12/lane/lane-7")
	f.Add("hhid://acme/central")
	f.Add("hhid://acme//lane/")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseURI(s)
		if err == nil && n.String() != s {
			t.Fatalf("%q comes back as %q", s, n)
		}
	})
}
