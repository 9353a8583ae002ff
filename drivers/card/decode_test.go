package card

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"posd/drivers/driver"
	"posd/msr"
)

// The tracks of a test card.
const (
	cardOne = "%B4111111111111111^SHOPPER/TEST^29122010000000000000?"
	cardTwo = ";4111111111111111=29122010000000000?"
)

// read gives what a decoder makes of reads, each in a word: what was read, with
// the last digits or the code that says why not.
func decoded(dec driver.Decoder, reads ...string) string {
	var out []string
	emit := func(r driver.Reading) {
		word := string(r.Type)
		if r.Type == driver.Error {
			word = r.Err.Code
		}
		for _, track := range r.Swipe.Tracks {
			word += " " + track.Code
		}
		out = append(out, strings.TrimSpace(word+" "+r.Swipe.Code+r.Swipe.Last4()))
		r.Swipe.Wipe()
	}
	at := time.Unix(1, 0)
	for _, text := range reads {
		driver.Feed(dec, driver.Read{At: at, Data: []byte(text)}, emit)
		at = at.Add(10 * time.Millisecond)
	}
	dec.Expire(at.Add(time.Minute), emit)
	return strings.Join(out, "|")
}

func opened(t *testing.T, file string) (driver.Decoder, [][]byte) {
	t.Helper()
	for _, r := range recordings(t) {
		if r.file == file {
			var reads [][]byte
			for _, read := range r.reads() {
				reads = append(reads, read.Data)
			}
			return r.open(t), reads
		}
	}
	t.Fatalf("there is no %s", file)
	return nil, nil
}

// On a line of an encrypting reader, text may stand behind STX too, and what
// begins as a frame may come to nothing.
func TestSecureLine(t *testing.T) {
	card := string(framed([]byte{0x03, 0x10, 0, 0, 0}))
	for _, c := range []struct{ name, reads, want string }{
		{"tracks", cardOne + cardTwo + "\r", "swipe   1111"},
		{"tracks between STX and ETX", "\x02" + cardOne + cardTwo + "\r\x03", "swipe   1111"},
		{"the same, cut", "\x02%|B" + cardOne[2:] + cardTwo + "|\x03", "swipe   1111"},
		{"a frame", card, "swipe  reader-error unreadable"},
		{"frames", card + card, "swipe  reader-error unreadable|swipe  reader-error unreadable"},
		{"a frame behind tracks", cardTwo + "\r" + card, "swipe   1111|swipe  reader-error unreadable"},
		{"tracks behind a frame", card + cardTwo + "\r", "swipe  reader-error unreadable|swipe   1111"},
		{"STX within tracks", cardTwo[:9] + "\x02" + cardTwo + "\x03", "incomplete|swipe   1111"},
		{"half a frame", card[:7], "incomplete"},
		{"STX alone", "\x02", "incomplete"},
		{"no ETX", card[:len(card)-1] + "?" + cardTwo + "\r", "frame-end|swipe   1111"},
		{"nothing framed", "\x02\x00\x00\x00\x00\x03", "length"},
	} {
		for _, step := range []int{1, 1000} {
			dec, err := IDTECH().Open(driver.Attributes{Transport: driver.TTY}, nil, rules())
			if err != nil {
				t.Fatal(err)
			}
			text := c.reads
			if step == 1000 {
				if got := decoded(dec, strings.Split(text, "|")...); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(c.want), " ") {
					t.Errorf("%s: got %q, want %q", c.name, got, c.want)
				}
				continue
			}
			if got := decoded(dec, strings.Split(strings.ReplaceAll(text, "|", ""), "")...); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(c.want), " ") {
				t.Errorf("%s, byte by byte: got %q, want %q", c.name, got, c.want)
			}
		}
	}
}

func TestFits(t *testing.T) {
	frame := string(framed([]byte{0x83, 0x10, 0, 0, 0, 0, 0}))
	for _, c := range []struct {
		reads          []string
		serial, idTech bool
	}{
		{[]string{cardOne + cardTwo + "\r"}, true, false},
		{[]string{"\x02", "\x1b", cardTwo}, true, false},
		{[]string{frame + cardTwo}, false, true},
		{[]string{frame[:1], frame[1:2], frame[2:] + cardTwo}, false, true},
		{[]string{string(framed([]byte("\x00\x1b\x10\x08\x00%*41^^***?*;41=**?*")))}, false, true},
		{[]string{"\x00\x00\x00"}, false, true},
		{[]string{"036000291452\r"}, false, false},
		{nil, false, false},
	} {
		var reads []driver.Read
		for _, text := range c.reads {
			reads = append(reads, driver.Read{Data: []byte(text)})
		}
		if a, b := Serial().Fits(reads), IDTECH().Fits(reads); a != c.serial || b != c.idTech {
			t.Errorf("%q: serial-msr %v, idtech-msr %v", c.reads, a, b)
		}
	}
}

// Whether a MagneSafe reader encrypts is what its status says, in either order of
// the bits; a key alone, or the wish to encrypt alone, is not enough.
func TestEncryptionStatus(t *testing.T) {
	dec, reads := opened(t, "magnesafe-clear.rec")
	for status, want := range map[byte]string{
		0: "swipe 1111", 1: "swipe 1111", 2: "swipe 1111", 4: "swipe 1111", 5: "swipe 1111",
		3: "swipe length length unreadable", 6: "swipe length length unreadable", 7: "swipe length length unreadable",
	} {
		for _, at := range []int{493, 494} {
			report := []byte(string(reads[0]))
			report[493], report[494] = 0, 0
			report[at] = status
			if got := strings.Join(strings.Fields(decoded(dec, string(report))), " "); got != want {
				t.Errorf("status %d at byte %d: got %q, want %q", status, at, got, want)
			}
		}
	}
}

// The next swipe begins with a report that came before; behind a length that
// cannot be, nothing is read.
func TestHIDMSRReports(t *testing.T) {
	dec, reads := opened(t, "hidmsr-reports.rec")
	lengths, two := string(reads[8]), string(reads[9])
	got := decoded(dec, lengths, two, lengths, two)
	if got != "swipe    0005|swipe    0005" {
		t.Errorf("got %q", got)
	}
	dec, reads = opened(t, "hidmsr-piece.rec")
	report := []byte(string(reads[0])) // of track 2 alone
	n := len(cardTwo)
	clear(report[4:])
	copy(report[4:], cardTwo)
	report[1], report[2] = 201, byte(n)
	if got := strings.Join(strings.Fields(decoded(dec, string(report))), " "); got != "swipe length length unreadable" {
		t.Errorf("got %q", got)
	}
}

// What is typed on a keyboard is characters, and what no card has is an error.
func TestTyped(t *testing.T) {
	for text, want := range map[string]string{"A": "A", "Â": "^A", "û": "^u", "^": "^", "^Û": "^^U", "Ä": "\xff", "€x": "\xffx", "": ""} {
		if got := string(typed([]byte(text))); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{"%b41^shopper?": "%B41^SHOPPER?", "%B41^sHOPPER?": "%B41^sHOPPER?", ";41=29?": ";41=29?", "%e?": "%E?"} {
		b := []byte(text)
		if capitals(b); string(b) != want {
			t.Errorf("%q: got %q, want %q", text, b, want)
		}
	}
}

// A letter for a hex digit is named also where LRC and checksum are right.
func TestTextThatIsNoHex(t *testing.T) {
	good := "83080000000000"
	for _, c := range []struct{ text, want string }{
		{framedText(good), msr.CodeReaderError},
		{framedText("83100000000G00"), msr.CodeParity},
		{framedText(good + "0"), msr.CodeLength},
		{framedText(good + "GG"), msr.CodeParity},
		{framedText("83100000"), msr.CodeLength},
		{"02GG00" + good + "00000003", "unreadable"},
		{strings.Replace(framedText(good), "020E00", "02FFFF", 1), msr.CodeLength},
	} {
		r := textOf(c.text)
		got := r.Err.Code
		if r.Type == driver.Swipe {
			if got = r.Swipe.Tracks[0].Code; got == "" {
				got = r.Swipe.Code
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s %q, want %q", c.text, r.Type, got, c.want)
		}
	}
}

// Half a track behind whole ones is half a track, and no noise.
func TestHalfATrackIsNoNoise(t *testing.T) {
	for text, want := range map[string]string{
		cardOne + cardTwo[:30]:                      "swipe end-sentinel 1111",
		cardOne + "A\r\n" + cardTwo[:30]:            "swipe end-sentinel 1111",
		cardTwo + "\x7fa123456789012345678":         "swipe end-sentinel 1111",
		cardTwo + "0" + strings.Repeat("\r", 20):    "swipe 1111",
		cardTwo + strings.Repeat("9", maxPreamble):  "swipe 1111",
		cardTwo + strings.Repeat("9", 16):           codeNoise,
		cardTwo + "99" + cardTwo[:30]:               codeNoise,
		cardTwo + ";" + strings.Repeat("9", 107):    codeNoise,
		cardTwo + "\x7fa1\x7f" + "1234567890123456": codeNoise,
	} {
		dec, err := Serial().Open(driver.Attributes{}, driver.Settings{"gap": "10ms"}, rules())
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(decoded(dec, text+"\r")), " "); got != want {
			t.Errorf("%.20s…%s: got %q, want %q", text, text[len(text)-9:], got, want)
		}
	}
}

// A MagneSafe reader that does not encrypt sends tracks as they are, and some
// firmware may send them in hex; either is read. One that says that it encrypts,
// and does not, gives no number.
func TestMagneSafeTextInClear(t *testing.T) {
	shown := strings.ReplaceAll(cardOne+cardTwo, "411111111111", "411100000000")
	hexTwo := fmt.Sprintf("%X", cardTwo)
	for text, want := range map[string]string{
		"|0200|" + cardOne + "|" + cardTwo + "||||||||":       "swipe 1111",
		"|0200||" + cardTwo + "||||||||":                      "swipe 1111",
		"|0200||" + hexTwo + "||||||||":                       "swipe 1111",
		"|0200|%E?|" + cardTwo + "||||||||":                   "swipe reader-error 1111",
		"|0200|%E?|;E?||||||||":                               "swipe reader-error reader-error unreadable",
		"|0200||4" + hexTwo + "||||||||":                      "report",
		"|0600||" + cardTwo + "||||||FFFF9876543210E00008|||": "swipe length unreadable",
		"|02;0||" + cardTwo + "||||||||":                      "report",
	} {
		dec, err := Serial().Open(driver.Attributes{Transport: driver.TTY}, nil, rules())
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(decoded(dec, shown+text+"\r")), " "); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// What a descriptor lacks is named as its usages are written.
func TestFieldsNameUsages(t *testing.T) {
	_, err := MagTek().Open(driver.Attributes{Descriptor: []byte{0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x75, 0x08, 0x95, 0x6e, 0x09, 0x30, 0x81, 0x02, 0xc0}}, nil, rules())
	if err == nil || !strings.Contains(err.Error(), "track 1 (usages ff00:0020, ff00:0028 and ff00:0030)") {
		t.Errorf("got %v", err)
	}
}
