package card

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"posd/drivers/driver"
	"posd/drivers/keyboard"
	"posd/msr"
	"posd/tid"
)

// textOf is what a decoder of text makes of a frame.
func textOf(frame string) driver.Reading {
	return textReader{secure: secureMag{reader: msr.Reader{Rules: rules()}, cipher: msr.TDES}}.read(time.Time{}, []byte(frame))
}

// framed puts STX, length, LRC, checksum and ETX around card data.
func framed(card []byte) []byte {
	var x, sum byte
	for _, c := range card {
		x ^= c
		sum += c
	}
	return append(append([]byte{2, byte(len(card)), byte(len(card) >> 8)}, card...), x, sum, 3)
}

// framedText does the same with what a keyboard types.
func framedText(card string) string {
	f := framed([]byte(card))
	return fmt.Sprintf("%X%s%X", f[:3], card, f[len(f)-3:])
}

// A masked number never becomes a TID, whatever it is masked with, whatever
// stands between the parts, and however the reader says what it is.
func TestMaskedNumbersAreNoTIDs(t *testing.T) {
	// 4111 0000 0000 1111 with a digit changed so that the check digit is right.
	masked := "4111000000051111"
	for d := byte('0'); !tid.Luhn([]byte(masked)); d++ {
		masked = masked[:11] + string(rune(d)) + masked[12:]
	}
	one, two := "%B"+masked+"^SHOPPER/TEST^2912000000?", ";"+masked+"=2912000000?"
	cipher := strings.Repeat("0123456789ABCDEF", 6)
	for _, text := range []string{one + two, two, "%E?" + two} {
		for c := byte(1); c < 0x80; c++ {
			sep := string(rune(c))
			tail := strings.Join([]string{"", "0600", cipher, cipher[:80], "", "A1050000", cipher, "21042812D01", cipher[:16], "FFFF9876543210E00008", "B78F", "5A04", "1000"}, sep)
			r := textOf(text + tail)
			hexDigit := strings.Contains("0123456789ABCDEF?", sep)
			if !r.Swipe.TID.IsZero() {
				t.Errorf("separator %q: the masked number of %.3s is taken for one", sep, text)
			}
			if c == '|' && r.Type != driver.Encrypted || c != '|' && r.Type == driver.Encrypted && !hexDigit {
				t.Errorf("separator %q: %s %s", sep, r.Type, r.Err.Code)
			}
			r.Swipe.Wipe()
		}
	}
	r := textOf("LANE7:" + framedText(fmt.Sprintf("803F%02X%02X000383", len(one), len(two))+one+two+cipher[:(len(one)+7)/8*16]+cipher[:(len(two)+7)/8*16]+"FFFF9876543210E00008"))
	if r.Type != driver.Encrypted || !r.Swipe.TID.IsZero() {
		t.Errorf("behind a preamble: %s %s", r.Type, r.Err.Code)
	}
	for kind := range 256 {
		for _, flags := range []string{"0300", "0380", "0383", "031B", "0000"} {
			for _, rest := range []string{"", cipher, "FFFF9876543210E00008", cipher + "FFFF9876543210E00008"} {
				head := fmt.Sprintf("%02X3F%02X%02X00", kind, len(one), len(two))
				if kind&enhanced != 0 {
					head += flags
				}
				// Where nothing is encrypted, cards but a bank's are in clear.
				clear := kind&^enhanced == 1 || kind&^enhanced == 3
				r := textOf(framedText(head + one + two + rest))
				if !r.Swipe.TID.IsZero() && !clear {
					t.Errorf("kind %02X, %s: the masked number is taken for one", kind, flags)
				}
				r.Swipe.Wipe()
			}
		}
	}
}

// fuzzed checks what holds of every reading and decoder.
func fuzzed(t *testing.T, dec driver.Decoder, reads ...driver.Read) {
	t.Helper()
	emit := func(r driver.Reading) {
		if r.Type == driver.Error && (r.Err.Code == "" || r.Err.Reason == "") || r.Type == driver.Encrypted != (r.Swipe.Encrypted != nil) {
			t.Errorf("%+v is no reading", r)
		}
		if x := r.Swipe.Encrypted; x != nil {
			if x.KSN.IsZero() || !r.Swipe.TID.IsZero() || r.Swipe.Code != msr.CodeEncrypted {
				t.Errorf("%+v, encrypted", r)
			}
			for i, s := range x.Tracks {
				if s.Len()%8 != 0 || s.Len() != r.Swipe.Tracks[i].Ciphertext {
					t.Errorf("track %d has %d bytes of ciphertext, and says %d", i+1, s.Len(), r.Swipe.Tracks[i].Ciphertext)
				}
			}
		}
		r.Swipe.Wipe()
	}
	for _, read := range reads {
		driver.Feed(dec, read, emit)
		if len(bytes.Trim(read.Data, "\x00")) > 0 {
			t.Error("a read is not wiped")
		}
	}
	dec.Expire(time.Unix(1<<40, 0), emit)
	dec.Expire(time.Unix(1<<40, 0), emit)
	if !dec.Deadline().IsZero() {
		t.Error("something still waits")
	}
	checkClear(t, "fuzzed", reflect.ValueOf(dec))
}

// FuzzReport: no report makes a decoder of HID panic, outlives it, or shows more
// than it may.
func FuzzReport(f *testing.F) {
	for _, r := range recordings(f) {
		if r.Transport == "hidraw" {
			for _, read := range r.reads() {
				f.Add(r.Descriptor, read.Data, r.Vendor)
			}
		}
	}
	f.Fuzz(func(t *testing.T, descriptor, report []byte, vendor uint16) {
		a := driver.Attributes{Transport: driver.HIDRaw, Vendor: vendor, Descriptor: descriptor}
		for _, d := range []driver.Driver{HIDMSR(), MagTek(), IDTECH()} {
			if dec, err := d.Open(a, nil, rules()); err == nil {
				fuzzed(t, dec, driver.Read{At: time.Unix(1, 0), Data: bytes.Clone(report)}, driver.Read{At: time.Unix(2, 0), Data: bytes.Clone(report)})
			} else if d.Claim(a) {
				t.Errorf("%s claims what it cannot open: %v", d.Name, err)
			}
		}
	})
}

// FuzzSecureMag gives card data whose checks are right.
func FuzzSecureMag(f *testing.F) {
	for _, r := range recordings(f) {
		if !strings.HasPrefix(r.file, "securemag") || r.Transport != "hidraw" {
			continue
		}
		for _, read := range r.reads() {
			if card, err := unframe(read.Data); err == nil {
				f.Add(card, true)
				f.Add(card, false)
			}
		}
	}
	f.Fuzz(func(t *testing.T, card []byte, aes bool) {
		s := driver.Settings{}
		if aes {
			s["cipher"] = "aes"
		}
		dec, err := IDTECH().Open(driver.Attributes{Transport: driver.TTY}, s, rules())
		if err != nil {
			t.Fatal(err)
		}
		card = card[:min(len(card), maxSecure)]
		fuzzed(t, dec, driver.Read{At: time.Unix(1, 0), Data: framed(card)})
		text := fmt.Sprintf("%X", card)
		if h, err := secureHeadOf(card); err == nil && h.size+h.visible() <= len(card) { // as a keyboard types it
			text = fmt.Sprintf("%X%s%X", card[:h.size], card[h.size:h.size+h.visible()], card[h.size+h.visible():])
			if text == "" || len(text) > 0xffff || strings.ContainsAny(text, "\x00\x02\x03\r\n") {
				return
			}
			a := secureMag{msr.Reader{Rules: rules()}, msr.TDES}.read(time.Time{}, bytes.Clone(card))
			b := textOf(framedText(text))
			if a.Type != b.Type || a.Err != b.Err || a.Swipe.Code != b.Swipe.Code || a.Swipe.Last4() != b.Swipe.Last4() {
				t.Errorf("as bytes %v %v %v, typed %v %v %v", a.Type, a.Err, a.Swipe, b.Type, b.Err, b.Swipe)
			}
			a.Swipe.Wipe()
			b.Swipe.Wipe()
		}
	})
}

// FuzzText gives frames to the decoder of text.
func FuzzText(f *testing.F) {
	for _, r := range recordings(f) {
		if r.Transport == "tty" && r.driver.Name == "serial-msr" {
			f.Add(string(beginning(r.reads(), 4000)), false)
		}
	}
	for _, s := range []string{"02", "0203008", "|||||||||", "%E?|0600|||||||||", framedText("803F000000000083")} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, lrc bool) {
		dec, err := Serial().Open(driver.Attributes{}, driver.Settings{"lrc": fmt.Sprint(lrc)}, rules())
		if err != nil {
			t.Fatal(err)
		}
		fuzzed(t, dec, driver.Read{At: time.Unix(1, 0), Data: []byte(text)}, driver.Read{At: time.Unix(2, 0), Data: []byte("\r" + text + "\r")})
	})
}

// FuzzTyped gives events to the decoder of keys.
func FuzzTyped(f *testing.F) {
	for _, r := range recordings(f) {
		if r.Transport == "evdev" {
			f.Add(beginning(r.reads(), 800), uint8(0))
		}
	}
	for _, l := range keyboard.Layouts() {
		events, err := l.Keys([]byte("%B4111^A?\r"), keyboard.Typing{Toggle: true})
		if err != nil {
			f.Fatal(err)
		}
		var b []byte
		for _, e := range events {
			b = e.Append(b)
		}
		f.Add(b, uint8(l))
	}
	f.Fuzz(func(t *testing.T, events []byte, layout uint8) {
		l := keyboard.Layouts()[int(layout)%len(keyboard.Layouts())]
		dec, err := Keyboard().Open(driver.Attributes{}, driver.Settings{"layout": l.String()}, rules())
		if err != nil {
			t.Fatal(err)
		}
		fuzzed(t, dec, driver.Read{At: time.Unix(1, 0), Data: bytes.Clone(events)}, driver.Read{At: time.Unix(1, 1e6), Data: bytes.Clone(events)})
	})
}
