package msr

// The tracks of these tests are constructed from the figures of ISO/IEC 7813
// around published test numbers; the licences from those of the AAMVA DL/ID Card
// Design Standard. No track of a real card is among them.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"posd/tid"
)

const (
	visa    = "4111111111111111"
	mc      = "5555555555554444"
	amex    = "378282246310005"
	member  = "2900123456789"
	expiry  = "2912"
	service = "101"
	secret1 = "1234500000006789000" // discretionary data
	secret2 = "9876500000001"
	name    = "SHOPPER/TEST A.MS"
	licence = ";636014041234567=291219850415=?"
	city    = "%CASAN DIEGO^SHOPPER$TEST$ANN^1 MAIN ST^?"
)

func one(pan string) string { return "%B" + pan + "^" + name + "^" + expiry + service + secret1 + "?" }
func two(pan string) string { return ";" + pan + "=" + expiry + service + secret2 + "?" }

const three = "+011234567890123445=724724000000000000000000000000000000000000?"

var rules = tid.Rules{Payment: true, Country: "US", Issuer: "0001", Loyalty: []*regexp.Regexp{
	regexp.MustCompile("2900[0-9]{9}"), regexp.MustCompile("77[0-9]{4}"),
}}

// outcome is a swipe in one line: "1ok 2LRC - B 4111111111111111".
func outcome(s Swipe) string {
	var out []string
	for _, t := range s.Tracks {
		switch t.Status {
		case TrackOK:
			out = append(out, fmt.Sprint(t.Number, "ok"))
		case TrackError:
			out = append(out, fmt.Sprint(t.Number, t.Code))
		}
	}
	if s.Form != "" {
		out = append(out, s.Form)
	}
	s.TID.Use(func(d []byte) { out = append(out, s.TID.Kind().String(), string(d)) })
	if s.Code != "" {
		out = append(out, s.Code)
	}
	return strings.Join(out, " ")
}

// read reads a frame and checks what holds of every swipe.
func read(t *testing.T, r Reader, text string) Swipe {
	t.Helper()
	frame := []byte(text)
	s := r.Read(frame)
	if !bytes.Equal(frame, make([]byte, len(text))) {
		t.Errorf("the frame of %d bytes was not wiped", len(text))
	}
	if n := len(s.Tracks); n != 3 && (n != 4 || !strings.Contains(text, "\x7f")) || s.Source != SourceCard { // the fourth is JIS II's
		t.Errorf("source %q, %d tracks", s.Source, len(s.Tracks))
	}
	for i, track := range s.Tracks {
		if track.Number != i+1 || (track.Status == TrackError) != (track.Code != "") ||
			!slices.Contains([]TrackStatus{TrackNone, TrackOK, TrackError}, track.Status) {
			t.Errorf("track %d: %+v", i+1, track)
		}
	}
	if s.TID.IsZero() != (s.Code != "") || (s.Code == "") != (s.Reason == "") || !s.TID.IsZero() && s.Last4() == "" {
		t.Errorf("TID %v with last 4 %q, code %q, reason %q", s.TID, s.Last4(), s.Code, s.Reason)
	}
	if long := regexp.MustCompile("[0-9]{4}").FindString(s.Reason); long != "" {
		t.Errorf("reason %q has digits", s.Reason)
	}
	return s
}

func TestRead(t *testing.T) {
	for _, c := range []struct{ name, frame, want string }{
		{"three tracks", one(visa) + two(visa) + three, "1ok 2ok 3ok B payment " + visa},
		{"tracks 1 and 2", one(visa) + two(visa) + "\r", "1ok 2ok B payment " + visa},
		{"track 1 alone", one(mc), "1ok B payment " + mc},
		{"track 2 alone", two(amex), "2ok B payment " + amex},
		{"track 3 alone", three, "3ok other not-a-tid"},
		{"track 3 as ISO has it", two(visa) + ";" + three[1:], "2ok 3ok B payment " + visa},
		{"a line for each track", one(visa) + "\r\n" + two(visa) + "\r\n" + three + "\r\n", "1ok 2ok 3ok B payment " + visa},
		{"insert reader", "\x1b" + one(visa) + two(visa) + "0\r", "1ok 2ok B payment " + visa},
		{"LRCs that were not announced", one(visa) + "A" + two(visa) + "5", "1ok 2ok B payment " + visa},

		{"no expiry on track 1", "%B" + visa + "^" + name + "^^" + service + secret1 + "?", "1ok B payment " + visa},
		{"no expiry and service code on track 1", "%B" + visa + "^" + name + "^^^?", "1ok B payment " + visa},
		{"no expiry on track 2", ";" + visa + "==" + service + secret2 + "?", "2ok B payment " + visa},
		{"no expiry and service code on track 2", ";" + visa + "===?", "2ok B payment " + visa},
		{"number parted as embossed", "%B3782 822463 10005^" + name + "^" + expiry + service + "?" + two(amex), "1ok 2ok B payment " + amex},
		{"the same, track 1 alone", "%B3782 822463 10005^" + name + "^" + expiry + service + "?", "1ok B payment " + amex},
		{"name of 1", "%B" + visa + "^N^" + expiry + service + "?", "1ok other payment " + visa},
		{"name of 26", "%B" + visa + "^" + strings.Repeat("N", 26) + "^" + expiry + service + "?", "1ok B payment " + visa},
		{"name of 27: not of the form, the number is still there", "%B" + visa + "^" + strings.Repeat("N", 27) + "^" + expiry + service + "?", "1ok other payment " + visa},
		{"no name at all", "%B" + visa + "?", "1ok other payment " + visa},
		{"date of letters", ";" + visa + "=A912?", "2parity unreadable"},

		{"blank", "\r", "blank"},
		{"empty", "", "blank"},
		{"sentinels only", "%?;?+?", "blank"},
		{"track 1 blank", "%?" + two(visa), "2ok B payment " + visa},
		{"all three in error", "%E?;E?+E?\r", "1reader-error 2reader-error 3reader-error unreadable"},
		{"only an error track", "%E?", "1reader-error unreadable"},
		{"track 1 in error", "%E?" + two(visa), "1reader-error 2ok B payment " + visa},
		{"track 2 in error", one(visa) + ";E?", "1ok 2reader-error B payment " + visa},
		{"track 2 half read", one(visa) + ";411111111", "1ok 2end-sentinel B payment " + visa},
		{"track 2 half read before track 3", one(visa) + ";411111111" + three, "1ok 2end-sentinel 3ok B payment " + visa},
		{"track 1 half read", "%B41111111" + two(visa), "1end-sentinel 2ok B payment " + visa},
		{"both half read", "%B41111111;411111", "1end-sentinel 2end-sentinel unreadable"},
		{"a line ends in a track", "%B4111\r1111^?", "1end-sentinel unreadable"},
		{"start sentinel of track 1 lost", one(visa)[1:] + two(visa), "1start-sentinel 2ok B payment " + visa},
		{"start sentinel of track 2 lost", two(visa)[1:], "2start-sentinel unreadable"},
		{"start sentinel of track 3 lost", two(visa) + three[1:], "2ok 3start-sentinel B payment " + visa},
		{"8-bit character", "%B4111111111\xb1" + "11111^" + name + "^" + expiry + "?", "1parity unreadable"},
		{"small letter", "%b" + visa + "?", "1parity unreadable"},
		{"letter on track 2", ";4111111A=2912101?", "2parity unreadable"},
		{"79 characters", "%B" + visa + strings.Repeat("^", 76-17) + "?", "1ok other payment " + visa},
		{"80 characters", "%B" + visa + strings.Repeat("^", 77-17) + "?", "1length unreadable"},
		{"40 characters", ";" + visa + strings.Repeat("=", 37-16) + "?", "2ok B payment " + visa},
		{"41 characters", ";" + visa + strings.Repeat("=", 38-16) + "?", "2length unreadable"},
		{"107 characters", two(visa) + "+" + strings.Repeat("1", 104) + "?", "2ok 3ok B payment " + visa},
		{"108 characters", two(visa) + "+" + strings.Repeat("1", 105) + "?", "2ok 3length B payment " + visa},
		{"track 2 three times", strings.Repeat(two(visa), 3), "2ok 3start-sentinel B payment " + visa},
		{"garbage", "xyzzy \x80\x81\xff garbage", "unreadable"},

		{"loyalty card", ";" + member + "?", "2ok other loyalty 0001" + member},
		{"loyalty card with a bank's form", one(member) + two(member), "1ok 2ok B loyalty 0001" + member},
		{"loyalty card, track 1 with a format code", "%L" + member + "^SHOPPER?", "1ok other loyalty 0001" + member},
		{"loyalty card, track 1 without", "%" + member + "?", "1ok other loyalty 0001" + member},
		{"loyalty card of letters", "%MEMBER " + member + "?", "1ok other not-a-tid"},
		{"loyalty card, name first", "%SHOPPER^" + member + "?", "1ok other not-a-tid"},
		{"gift card that is none of ours", ";6006491286999929=0000?", "2ok other not-a-tid"},
		{"no separator", ";" + visa + "2912101?", "2ok other not-a-tid"},
		{"no number", "%?;=?", "2ok other not-a-tid"},
		{"check digit", one("4111111111111112") + two("4111111111111112"), "1ok 2ok B not-a-tid"},
		{"20 digits", ";41111111111111111115=2912101?", "2ok other not-a-tid"},

		{"licence", city + licence, "1ok 2ok AAMVA licence"},
		{"licence, track 1 alone", city, "1ok AAMVA licence"},
		{"licence, track 2 alone", licence, "2ok AAMVA licence"},
		{"licence of British Columbia", "%BCVANCOUVER^SHOPPER,$TEST ANN^1 MAIN ST^?", "1ok AAMVA licence"},
		{"licence with three tracks", city + licence + "%10920210000000CM1508150BROBLU?", "1ok 2ok 3ok AAMVA licence"},
		{"payment card in the range of licences", ";6360140412345675=2912101000000001?", "2ok B payment 6360140412345675"},

		{"service code like a year", ";" + visa + "=291219850415?", "2ok B payment " + visa},
		{"no year of birth", ";6360140412345675=291210100415?", "2ok B payment 6360140412345675"},
		{"words, not a licence", "%GIFT^CARD^?", "1ok other not-a-tid"},

		{"track 2 misread", one(visa) + two("4111111111111112"), "1ok 2ok B tracks-disagree"},
		{"two cards in one", one(visa) + two(mc), "1ok 2ok B tracks-disagree"},
		{"two cards in one, track 1 not of the form", "%B" + visa + "?" + two(mc), "1ok 2ok B tracks-disagree"},
		{"loyalty on track 1, a bank on track 2", "%L" + member + "?" + two(mc), "1ok 2ok B tracks-disagree"},
		{"a bank on track 1, loyalty on track 2", one(visa) + ";" + member + "?", "1ok 2ok B tracks-disagree"},
		{"track 1 says nothing of ours", "%L0042^SHOPPER?" + ";" + member + "?", "1ok 2ok other loyalty 0001" + member},
		{"track 2 says nothing of ours", "%L" + member + "^SHOPPER?" + ";0042?", "1ok 2ok other loyalty 0001" + member},
	} {
		if got := outcome(read(t, Reader{Rules: rules}, c.frame)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// Half of a track 1 that reaches into track 3 must not be taken for data.
func TestTracksDoNotRunTogether(t *testing.T) {
	if got := outcome(read(t, Reader{Rules: rules}, "%B"+visa+"^"+name+three)); got != "1end-sentinel 3ok other not-a-tid" {
		t.Error(got)
	}
}

func TestPaymentCardsOff(t *testing.T) {
	off := rules
	off.Payment = false
	for frame, want := range map[string]string{
		one(visa) + two(visa):           "1ok 2ok B payment-cards-off",
		one(visa):                       "1ok B payment-cards-off",
		";" + mc + "?":                  "2ok other payment-cards-off",
		";" + member + "?":              "2ok other loyalty 0001" + member,
		"%L" + member + "?" + two(visa): "1ok 2ok B loyalty 0001" + member,
		";4111111111111112=2912101?":    "2ok B not-a-tid",
	} {
		s := read(t, Reader{Rules: off}, frame)
		if got := outcome(s); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if s.Code == CodePaymentCardsOff && s.Last4() != "" {
			t.Errorf("last 4 %q of a refused card", s.Last4())
		}
	}
}

// A card that the shop does not read shows no more than one that it reads, and
// nothing where nothing may be read.
func TestLast4WithoutTID(t *testing.T) {
	for frame, want := range map[string]string{
		";6006491234567890=99121010000?": "7890", // a gift card, without Luhn
		"%B6006491234567890^GIFT^9912?":  "7890",
		";123456?":                       "456",
		";1?":                            "",
		"%GIFT^CARD^?":                   "",
		one(visa) + two(mc):              "",
		";636014123456789=261219700101?": "",
		"%E?;E?":                         "",
	} {
		if s := read(t, Reader{Rules: rules}, frame); !s.TID.IsZero() || s.Last4() != want {
			t.Errorf("%s: %q", frame, s.Last4())
		}
	}
}

func TestMissingIssuerIsSaid(t *testing.T) {
	r := rules
	r.Issuer = ""
	if got := outcome(read(t, Reader{Rules: r}, ";"+member+"?")); got != "2ok other not-configured" {
		t.Error(got)
	}
}

// A reader may say in other words that it could not read a track.
func TestReadStream(t *testing.T) {
	for _, c := range []struct {
		frame  string
		failed [3]bool
		form   string
		want   string
	}{
		{two(visa), [3]bool{true}, "", "1reader-error 2ok B payment " + visa},
		{one(visa), [3]bool{false, true}, "", "1ok 2reader-error B payment " + visa},
		{one(visa) + two(visa), [3]bool{true, true, true}, "", "1ok 2ok 3reader-error B payment " + visa},
		{"", [3]bool{true, true}, "", "1reader-error 2reader-error unreadable"},
		{"", [3]bool{}, "", "blank"},
		{two(visa), [3]bool{}, FormAAMVA, "2ok AAMVA licence"},
	} {
		frame := []byte(c.frame)
		if got := outcome((Reader{Rules: rules}).ReadStream(frame, c.failed, c.form)); got != c.want {
			t.Errorf("%v %s:\n got %s\nwant %s", c.failed, c.form, got, c.want)
		}
		if len(bytes.Trim(frame, "\x00")) > 0 {
			t.Error("the frame was not wiped")
		}
	}
}

// checked puts the LRC behind a track.
func checked(track string) string { return track + string(rune(LRC([]byte(track)))) }

func TestLRC(t *testing.T) {
	all := checked(one(visa)) + checked(two(visa)) + checked(three)
	for _, c := range []struct{ name, frame, want string }{
		{"all good", all, "1ok 2ok 3ok B payment " + visa},
		{"lines", checked(one(visa)) + "\r\n" + checked(two(visa)) + "\r", "1ok 2ok B payment " + visa},
		{"missing", one(visa) + "\r", "1LRC unreadable"},
		{"missing at the end", two(visa), "2LRC unreadable"},
		{"wrong digit on track 2", checked(one(visa)) + strings.Replace(checked(two(visa)), "=2", "=3", 1), "1ok 2LRC B payment " + visa},
		{"wrong name on track 1", strings.Replace(checked(one(visa)), "TEST", "TESU", 1) + checked(two(visa)), "1LRC 2ok B payment " + visa},
		{"wrong sentinel on track 3", checked(two(visa)) + checked(three)[:len(three)] + "?", "2ok 3LRC B payment " + visa},
		{"error tracks have none", "%E?;E?+E?\r", "1reader-error 2reader-error 3reader-error unreadable"},
		{"error track with one", checked("%E?") + checked(two(visa)), "1reader-error 2ok B payment " + visa},
		{"blank tracks have none", "%?;?\r", "blank"},
	} {
		if got := outcome(read(t, Reader{Rules: rules, LRC: true}, c.frame)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// Any LRC may look like a sentinel; it never begins or ends a track. Any single
// wrong character is found, unless it ends the track: that is left to parity,
// which the reader checks.
func TestLRCOfEveryValue(t *testing.T) {
	seen := map[byte]bool{}
	for n := range 1000 {
		track := fmt.Sprintf(";%s=2912101%03d?", visa, n)
		seen[LRC([]byte(track))] = true
		if got := outcome(read(t, Reader{Rules: rules, LRC: true}, checked(track)+checked(three))); got != "2ok 3ok B payment "+visa {
			t.Fatalf("%d: %s", n, got)
		}
	}
	if len(seen) < 16 {
		t.Errorf("only the LRCs %v came up", seen)
	}
	good := checked(two(visa))
	for i := 1; i < len(good); i++ {
		for c := byte('0'); c < '?'; c++ {
			wrong := []byte(good)
			wrong[i] = c
			got := read(t, Reader{Rules: rules, LRC: true}, string(wrong))
			if ok := got.Tracks[1].Status == TrackOK; ok != (c == good[i]) {
				t.Errorf("place %d, %q for %q: %s", i, c, good[i], outcome(got))
			}
		}
	}
}

// The LRC by the words of ISO/IEC 7811: it makes the number of ones in each
// column of bits even, over all characters and itself.
func TestLRCMakesColumnsEven(t *testing.T) {
	for _, c := range []struct {
		track, onCard string
		first         byte
		bits          int
	}{
		{one(visa), one(visa), ' ', 6},
		{two(visa), two(visa), '0', 4},
		{three, ";" + three[1:], '0', 4},                 // what readers send as "+" is ";" on the card
		{"#10920210000000?", "%10920210000000?", ' ', 6}, // and "#" is "%"
		{"%B5555 4^A/B^2912101?", "%B5555 4^A/B^2912101?", ' ', 6},
	} {
		whole := c.onCard + string(rune(LRC([]byte(c.track))))
		for bit := range c.bits {
			ones := 0
			for _, char := range []byte(whole) {
				ones += int((char - c.first) >> bit & 1)
			}
			if ones%2 != 0 {
				t.Errorf("%s: column %d has %d ones", c.track[:1], bit, ones)
			}
		}
		if LRC([]byte(c.track)) >= c.first+1<<c.bits || LRC([]byte(c.track)) < c.first {
			t.Errorf("%s: LRC %q is not in its code", c.track[:1], LRC([]byte(c.track)))
		}
	}
	if c := LRC([]byte("%small\xff?")); c < ' ' || c > '_' {
		t.Errorf("LRC %q is not in its code", c)
	}
	if LRC(nil) != 0 {
		t.Error("LRC of nothing")
	}
}

// Nothing of a card but its kind, states and last four digits is in a swipe.
func TestSwipeKeepsNothingElse(t *testing.T) {
	s := read(t, Reader{Rules: rules}, one(visa)+two(visa)+three)
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"source":"card","tracks":[{"track":1,"status":"ok"},{"track":2,"status":"ok"},{"track":3,"status":"ok"}],"form":"B"}`; string(text) != want {
		t.Errorf("JSON %s, want %s", text, want)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		out := string(text) + fmt.Sprintf(verb, s) + fmt.Sprintf(verb, &s) + fmt.Sprintf(verb, []Swipe{s})
		for _, part := range []string{visa, visa[:6], "SHOPPER", "TEST", expiry, secret1, secret1[:6], secret2[:6], "34313131", "52 49 49"} {
			if strings.Contains(out, part) {
				t.Errorf("%q shows %q", out, part)
			}
		}
	}
	if s.Last4() != "1111" {
		t.Errorf("last 4 %q", s.Last4())
	}
}
