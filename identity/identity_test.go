package identity

import (
	"encoding/json"
	"testing"
)

func TestHHIDTextRoundTrip(t *testing.T) {
	for range 100 {
		h := NewHHID()
		if h.IsZero() {
			t.Fatal("NewHHID gave the zero id")
		}
		got, err := ParseHHID(h.String())
		if err != nil || got != h {
			t.Fatalf("ParseHHID(%q) = %v, %v", h, got, err)
		}
	}
}

func TestParseHHIDRefuses(t *testing.T) {
	for _, s := range []string{"", "hh:", "aaaaaaaaaaaab", "hh:aaaaaaaaaaaaa", "hh:AAAAAAAAAAAAC", "hh:aaaaaaaaaaaab", "hh:aaaaaaaaaaaacc", "hh:aaaaaaaaaaa1c"} {
		if h, err := ParseHHID(s); err == nil {
			t.Errorf("ParseHHID(%q) = %v, want an error", s, h)
		}
	}
}

func TestDeIdentTIDRoundTrip(t *testing.T) {
	mac := [16]byte{1, 2, 3, 15: 0xff}
	d := MakeDeIdentTID(12, mac)
	got, err := ParseDeIdentTID(string(d))
	if err != nil || got != d || got.Version() != 12 || got.MAC() != mac {
		t.Fatalf("ParseDeIdentTID(%q) = %q (version %d, mac %x), %v", d, got, got.Version(), got.MAC(), err)
	}
	for _, s := range []string{"", "d1", "d1:", "d0:" + string(d[4:]), "d01:" + string(d[4:]), "d+1:" + string(d[4:]), "x1:" + string(d[4:]), string(d) + "a"} {
		if got, err := ParseDeIdentTID(s); err == nil {
			t.Errorf("ParseDeIdentTID(%q) = %q, want an error", s, got)
		}
	}
}

func TestJSONLeavesOutNothingAndRefusesNonsense(t *testing.T) {
	type pair struct {
		HHID       HHID       `json:"hhid,omitzero"`
		DeIdentTID DeIdentTID `json:"deident_tid,omitempty"`
	}
	empty, _ := json.Marshal(pair{})
	if string(empty) != "{}" {
		t.Errorf("zero ids marshal to %s", empty)
	}
	want := pair{NewHHID(), MakeDeIdentTID(1, [16]byte{9})}
	text, _ := json.Marshal(want)
	var got pair
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("round trip gave %+v, %v", got, err)
	}
	for _, s := range []string{`{"hhid":"nonsense"}`, `{"deident_tid":"d1:x"}`} {
		if err := json.Unmarshal([]byte(s), &got); err == nil {
			t.Errorf("%s was taken", s)
		}
	}
}

func TestStates(t *testing.T) {
	for _, s := range []State{Anonymous, Resolved, Unresolved, OptedOut} {
		if !s.Final() || !s.Valid() {
			t.Errorf("%s: Final %v Valid %v, want both", s, s.Final(), s.Valid())
		}
	}
	if Pending.Final() || State("").Valid() {
		t.Error("pending is not final, and the empty state is not valid")
	}
	if _, err := ParseKind("card"); err == nil {
		t.Error(`ParseKind("card") was taken`)
	}
}

func FuzzParseDeIdentTID(f *testing.F) {
	f.Add("d1:" + "aaaaaaaaaaaaaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDeIdentTID(s)
		if err == nil && string(MakeDeIdentTID(d.Version(), d.MAC())) != s {
			t.Errorf("%q is taken but is not what would be printed", s)
		}
	})
}

func FuzzParseHHID(f *testing.F) {
	f.Add("hh:aaaaaaaaaaaac")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHHID(s)
		if err == nil && h.String() != s {
			t.Errorf("%q is taken but is printed as %q", s, h)
		}
	})
}
