package msr

import (
	"bytes"
	"strings"
	"testing"
)

// readFields reads fields, each a track or "!" and a code, and checks what holds
// of every swipe.
func readFields(t *testing.T, form string, tracks ...string) Swipe {
	t.Helper()
	var fields [4]Field
	for i, text := range tracks {
		if code, failed := strings.CutPrefix(text, "!"); failed {
			fields[i] = Field{Data: []byte("left over " + visa), Failed: code}
		} else {
			fields[i].Data = []byte(text)
		}
	}
	s := Reader{Rules: rules}.ReadFields(fields, form)
	for i, f := range fields {
		if len(bytes.Trim(f.Data, "\x00")) > 0 {
			t.Errorf("field %d is not wiped: %q", i+1, f.Data)
		}
	}
	if s.TID.IsZero() != (s.Code != "") || (s.Code == "") != (s.Reason == "") || s.Source != SourceCard {
		t.Errorf("TID %v, code %q, reason %q", s.TID, s.Code, s.Reason)
	}
	return s
}

func TestReadFields(t *testing.T) {
	bareOne, bareTwo := strings.Trim(one(visa), "%?"), strings.Trim(two(visa), ";?")
	jis2 := "\x7f" + strings.Repeat("a1", 30) + "\x7f"
	for _, c := range []struct {
		name, form string
		tracks     []string
		want       string
	}{
		{"with sentinels", "", []string{one(visa), two(visa), three}, "1ok 2ok 3ok B payment " + visa},
		{"with LRCs", "", []string{checked(one(visa)), checked(two(visa)), ""}, "1ok 2ok B payment " + visa},
		{"padded", "", []string{one(visa) + "\r\x00\x00", two(visa) + "\x00", "\x00"}, "1ok 2ok B payment " + visa},
		{"without sentinels", "", []string{bareOne, bareTwo, "011234567890123445=724724"}, "1ok 2ok 3ok B payment " + visa},
		{"track 2 alone", "", []string{"", bareTwo, ""}, "2ok B payment " + visa},
		{"loyalty", "", []string{"", ";" + member + "?", ""}, "2ok other loyalty 0001" + member},
		{"loyalty without sentinels", "", []string{"L" + member, "", ""}, "1ok other loyalty 0001" + member},
		{"gift card", "", []string{"", ";6006491286999929=0000?", ""}, "2ok other not-a-tid"},

		{"start sentinel alone", "", []string{"", two(visa)[:20], ""}, "2end-sentinel unreadable"},
		{"end sentinel alone", "", []string{one(visa)[1:], two(visa)[1:], ""}, "1start-sentinel 2start-sentinel unreadable"},
		{"start sentinel within", "", []string{"", "99" + two(visa), ""}, "2start-sentinel unreadable"},
		{"two tracks in a field", "", []string{"", two(visa) + two(mc), ""}, "2length unreadable"},
		{"more behind the LRC", "", []string{"", two(visa) + "1234", ""}, "2length unreadable"},
		{"too long", "", []string{"", ";" + strings.Repeat("1", 38) + "?", ""}, "2length unreadable"},
		{"too long without sentinels", "", []string{strings.Repeat("A", 77), strings.Repeat("1", 38), strings.Repeat("1", 105)}, "1length 2length 3length unreadable"},
		{"small letters", "", []string{strings.ToLower(one(visa)), two(visa), ""}, "1parity 2ok B payment " + visa},
		{"small letters without sentinels", "", []string{strings.ToLower(bareOne), bareTwo, ""}, "1parity 2ok B payment " + visa},
		{"letters on track 2", "", []string{"", "4111A", ""}, "2parity unreadable"},
		{"control character", "", []string{"", "41\x0211", ""}, "2parity unreadable"},
		{"error tracks", "", []string{"%E?", ";E?", "E"}, "1reader-error 2reader-error 3reader-error unreadable"},
		{"the reader says so", "", []string{"!" + CodeReaderError, two(visa), "!" + CodeLength}, "1reader-error 2ok 3length B payment " + visa},
		{"track 2 half read", "", []string{one(visa), "!" + CodeReaderError, ""}, "1ok 2reader-error B payment " + visa},
		{"blank", "", []string{"", "", ""}, "blank"},
		{"undetermined", FormOther, []string{"", "", ""}, "unreadable"},
		{"undetermined, and yet read", FormOther, []string{one(visa), two(visa), ""}, "1ok 2ok B payment " + visa},
		{"tracks disagree", "", []string{one(visa), two(mc), ""}, "1ok 2ok B tracks-disagree"},

		{"licence by its tracks", "", []string{city, licence, ""}, "1ok 2ok AAMVA licence"},
		{"licence by the reader", FormAAMVA, []string{"", ";" + visa + "=2912?", "%1092021?"}, "2ok 3ok AAMVA licence"},
		{"Californian licence", FormCADL, []string{"", ";" + visa + "=2912?", ""}, "2ok CADL licence"},
		{"licence that cannot be read", FormAAMVA, []string{"!" + CodeReaderError, "", ""}, "1reader-error unreadable"},

		{"JIS II beside the back stripe", "", []string{"", two(visa), "", jis2}, "2ok 4ok B payment " + visa},
		{"JIS II alone", "", []string{"", "", "", jis2}, "4ok JIS2 not-a-tid"},
		{"JIS II without sentinels", "", []string{"", "", "", jis2[1:20]}, "4ok JIS2 not-a-tid"},
		{"JIS II, and track 2 in error", "", []string{"", "!" + CodeReaderError, "", jis2}, "2reader-error 4ok unreadable"},
		{"JIS II broken", "", []string{"", "", "", jis2[:20]}, "4end-sentinel unreadable"},
		{"JIS II without a start", "", []string{"", "", "", jis2[1:]}, "4start-sentinel unreadable"},
		{"JIS II too long", "", []string{"", "", "", strings.Repeat("a", 70)}, "4length unreadable"},
		{"JIS II of 69", "", []string{"", "", "", strings.Repeat("a", 69)}, "4ok JIS2 not-a-tid"},
		{"JIS II in another field", FormJIS2, []string{"", jis2, ""}, "2ok JIS2 not-a-tid"},
		{"a payment card's track called JIS II", FormJIS2, []string{"", two(visa), ""}, "2ok JIS2 not-a-tid"},
	} {
		if got := outcome(readFields(t, c.form, c.tracks...)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// Track 2 in the code of track 1, and JIS II, in a stream.
func TestOtherSentinels(t *testing.T) {
	jis2 := "\x7fa" + strings.Repeat("1", 40) + "\x7f"
	for frame, want := range map[string]string{
		"@B4111^X?":             "2ok other not-a-tid",
		"%B4111^X?@B4111^X?":    "1ok 2ok other not-a-tid",
		"%USER@HOME^X?":         "1ok other not-a-tid",
		jis2 + "\r":             "4ok JIS2 not-a-tid",
		two(visa) + jis2 + "\r": "2ok 4ok B payment " + visa,
		jis2 + two(visa):        "2ok 4ok B payment " + visa,
		"\x7f" + two(visa):      "4end-sentinel unreadable",
	} {
		frame := []byte(frame)
		if got := outcome((Reader{Rules: rules}).Read(frame)); got != want {
			t.Errorf("%q:\n got %s\nwant %s", want, got, want)
		}
		if len(bytes.Trim(frame, "\x00")) > 0 {
			t.Errorf("left: %q", frame)
		}
	}
}

// FuzzReadFields: no field makes a reader panic or outlives it, and a swipe shows
// nothing of it.
func FuzzReadFields(f *testing.F) {
	f.Add([]byte(one(visa)), []byte(two(visa)), []byte(three), []byte("\x7fa1\x7f"), "")
	f.Add([]byte(strings.Trim(one(mc), "%?")), []byte(strings.Trim(two(mc), ";?")), []byte("E"), []byte("\x7f"), FormAAMVA)
	f.Add([]byte("%E?"), []byte(two(amex)+"0"), []byte{}, []byte{0}, FormJIS2)
	f.Fuzz(func(t *testing.T, one, two, three, jis []byte, form string) {
		s := readFields(t, form, string(one), string(two), string(three), string(jis))
		if (form == FormAAMVA || form == FormCADL || form == FormJIS2) && !s.TID.IsZero() {
			t.Error("a number was read of a card that has none")
		}
		for i, track := range s.Tracks {
			if track.Number != i+1 || (track.Status == TrackError) != (track.Code != "") {
				t.Errorf("track %d: %+v", i+1, track)
			}
		}
	})
}
