package msr

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"posd/tid"
)

// clearTrack is what a reader without keys sends for ciphertext.
const clearTrack = ";4012888888881881=2912101?"

// leak gives the part of the track that out shows in whatever notation, or "".
func leak(out string) string {
	for i := range len(clearTrack) - 5 {
		window := clearTrack[i : i+6]
		list := strings.Trim(fmt.Sprint([]byte(window)), "[]")
		for _, form := range []string{
			window, hex.EncodeToString([]byte(window)), strings.ToUpper(hex.EncodeToString([]byte(window))),
			fmt.Sprintf("% x", window), fmt.Sprintf("% X", window), list, strings.ReplaceAll(list, " ", ", "), strings.ReplaceAll(list, " ", ","),
			base64.StdEncoding.EncodeToString([]byte(window)), base64.RawURLEncoding.EncodeToString([]byte(window)),
		} {
			if strings.Contains(out, form) {
				return form
			}
		}
	}
	return ""
}

func sealed() Swipe {
	tracks := []Track{{Number: 1, Status: TrackNone}, {Number: 2, Status: TrackOK, Ciphertext: 32}, {Number: 3, Status: TrackNone}}
	e := Encrypted{Scheme: MagneSafe, Cipher: TDES, KSN: KSN{0xff, 0xff, 9: 8}, Serial: "B0A1", MagnePrint: NewSecret([]byte(clearTrack)), Session: NewSecret([]byte(clearTrack))}
	e.Tracks[1] = NewSecret([]byte(clearTrack))
	return Reader{Rules: tid.Rules{Payment: true}}.ReadEncrypted(e, tracks, FormISO, [2][]byte{nil, []byte(";4012000000001881=2912?")})
}

type hidden struct{ s Secret }
type hiddenSwipe struct {
	in  Swipe
	ptr *Encrypted
	any any
}
type careless struct{ b []byte }

func (h hidden) Error() string {
	return fmt.Sprintf("%v %+v %#v %s %d %x", h.s, h.s, h.s, h.s, h.s, h.s)
}

// shapes are the ways in which somebody may come to hold a secret.
func shapes() map[string]any {
	s := NewSecret([]byte(clearTrack))
	w := sealed()
	ch := make(chan Secret, 1)
	ch <- s
	return map[string]any{
		"direct": s, "pointer": &s, "hidden": hidden{s}, "to hidden": &hidden{s}, "slice": []Secret{s}, "array": [2]Secret{s, s},
		"to array": &[1]Secret{s}, "map": map[string]hidden{"a": {s}}, "any": []any{s, &s, hidden{s}}, "error": error(hidden{s}), "channel": ch,
		"swipe": w, "to swipe": &w, "encrypted": *w.Encrypted, "to encrypted": w.Encrypted, "swipe within": hiddenSwipe{w, w.Encrypted, w},
		"swipes": []Swipe{w}, "list": []hiddenSwipe{{w, w.Encrypted, *w.Encrypted}},
	}
}

func TestNoVerbShowsASecret(t *testing.T) {
	if leak(fmt.Sprintf("%d", careless{[]byte(clearTrack)})) == "" {
		t.Fatal("a leak is not seen")
	}
	for name, v := range shapes() {
		for verb := 'A'; verb <= 'z'; verb++ {
			for _, flags := range []string{"", "+", "#", " ", "-", "0", "+#", "# ", "40", ".40"} {
				format := "%" + flags + string(verb)
				if part := leak(fmt.Sprintf(format, v)); part != "" {
					t.Fatalf("%s of %s shows %q", format, name, part)
				}
			}
		}
		if part := leak(fmt.Sprint(v) + fmt.Errorf("wrap: %v", v).Error()); part != "" {
			t.Errorf("%s shows %q", name, part)
		}
	}
}

func TestNoEncoderShowsASecret(t *testing.T) {
	for name, v := range shapes() {
		var out bytes.Buffer
		text, err := json.Marshal(v)
		fmt.Fprint(&out, string(text), err)
		text, err = xml.Marshal(v)
		fmt.Fprint(&out, string(text), err)
		err = gob.NewEncoder(&out).Encode(v)
		fmt.Fprint(&out, err)
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).With("with", v).Info("message", "attr", v, slog.Group("group", "in", v))
		}
		if part := leak(out.String()); part != "" {
			t.Errorf("%s shows %q", name, part)
		}
	}
	s := NewSecret([]byte(clearTrack))
	if text, err := json.Marshal(struct{ S Secret }{s}); err != nil || string(text) != `{"S":"[26 secret bytes]"}` {
		t.Errorf("%s, %v", text, err)
	}
	if gob.NewEncoder(new(bytes.Buffer)).Encode(s) == nil {
		t.Error("gob took a secret")
	}
	if s.GoString() != "[26 secret bytes]" || fmt.Sprintf("%x", s) != "[26 secret bytes]" {
		t.Errorf("%#v, %x", s, s)
	}
}

func TestNoPanicShowsASecret(t *testing.T) {
	if name := os.Getenv("MSR_TEST_PANIC"); name != "" {
		if name == "inside Use" {
			NewSecret([]byte(clearTrack)).Use(func(b []byte) { _ = b[len(b)] })
		}
		panic(shapes()[name])
	}
	for _, name := range []string{"direct", "to hidden", "swipe", "to encrypted", "error", "inside Use"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoPanicShowsASecret$")
		cmd.Env = append(os.Environ(), "MSR_TEST_PANIC="+name, "GOTRACEBACK=system")
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("panic: ")) {
			t.Fatalf("%s: it did not panic (%v): %s", name, err, out)
		}
		if part := leak(string(out)); part != "" {
			t.Errorf("panic with %s shows %q", name, part)
		}
	}
}

func TestSecretIsWiped(t *testing.T) {
	from := []byte(clearTrack)
	s := NewSecret(from)
	if !bytes.Equal(from, make([]byte, len(from))) {
		t.Error("what the secret was made of is not wiped")
	}
	again := s
	var kept []byte
	s.Use(func(b []byte) {
		if kept = b; string(b) != clearTrack || cap(b) != len(b) {
			t.Errorf("%q, room for %d", b, cap(b))
		}
	})
	again.Wipe()
	if s.Len() != 0 || kept == nil || !bytes.Equal(kept, make([]byte, len(kept))) {
		t.Errorf("%d bytes are left, and %q", s.Len(), kept)
	}
	s.Use(func([]byte) { t.Error("there is something to use") })
	s.Wipe()
	if zero := NewSecret(nil); zero.Len() != 0 {
		t.Error("nothing is a secret")
	} else {
		zero.Wipe()
	}
}

func TestSwipeIsWiped(t *testing.T) {
	s := sealed()
	s.TID, _ = tid.NewPayment([]byte(visa))
	again := s
	again.Wipe()
	if !s.TID.IsZero() || s.Encrypted.Tracks[1].Len() != 0 || s.Encrypted.MagnePrint.Len() != 0 || s.Encrypted.Session.Len() != 0 {
		t.Errorf("left: %v %v", s.TID, s.Encrypted)
	}
	Swipe{}.Wipe()
}

func TestReadEncrypted(t *testing.T) {
	s := sealed()
	if s.Last4() != "1881" || !s.TID.IsZero() || s.Code != CodeEncrypted || s.Reason == "" || s.Unreadable() || s.Form != FormISO {
		t.Errorf("%+v", s)
	}
	for _, c := range []struct{ one, two, form, want string }{
		{"%B4012000000001881^A/B^2912?", "", FormISO, "1881"},
		{"%*4012********1881^A/B^****?*", "", FormISO, "1881"},
		{"", ";4012********1881=****?*", FormISO, "1881"},
		{"%*4012********1881^A/B^****?*", ";4012********0005=****?*", FormISO, "1881"},
		{"%*4012************^A/B^****?*", ";4012********0005=****?*", FormISO, "0005"},
		{"", ";4012************=****?*", FormISO, ""},
		{"", ";12345678=2912?", FormISO, "5678"},
		{"", ";1234567=2912?", FormISO, ""},
		{"", ";4012000000001881?", FormISO, ""},
		{"", ";636014000041881=2912?", FormAAMVA, ""},
		{"", "", FormISO, ""},
	} {
		masked := [2][]byte{[]byte(c.one), []byte(c.two)}
		s := Reader{Rules: tid.Rules{Payment: true}}.ReadEncrypted(Encrypted{}, nil, c.form, masked)
		if s.Last4() != c.want || !s.TID.IsZero() {
			t.Errorf("%q, %q: last 4 %q", c.one, c.two, s.Last4())
		}
		if len(bytes.Trim(slicesOf(masked), "\x00")) != 0 {
			t.Errorf("left: %q", masked)
		}
		if s = (Reader{}).ReadEncrypted(Encrypted{}, nil, c.form, [2][]byte{nil, []byte(c.two)}); s.Last4() != "" {
			t.Errorf("where payment cards are not read: %q", s.Last4())
		}
	}
}

func slicesOf(masked [2][]byte) []byte { return append(bytes.Clone(masked[0]), masked[1]...) }

func TestCipherBlocks(t *testing.T) {
	if TDES.Block() != 8 || AES.Block() != 16 || !(KSN{}).IsZero() || (KSN{9: 1}).IsZero() {
		t.Error("blocks, or KSN")
	}
}
