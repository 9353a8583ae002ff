package scanner

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// words writes frames as words: the data quoted, or the code of the problem.
func words(frames []Frame) string {
	var w []string
	for _, f := range frames {
		if f.Problem != nil {
			w = append(w, f.Problem.Code)
			continue
		}
		w = append(w, fmt.Sprintf("%q", f.Data))
	}
	return strings.Join(w, " ")
}

func TestFramer(t *testing.T) {
	full := strings.Repeat("7", MaxFrame)
	for _, c := range []struct {
		framing Framing
		in      string
		want    string
	}{
		{Framing{}, "036000291452\r", `"036000291452"`},
		{Framing{}, "036000291452\n", `"036000291452"`},
		{Framing{}, "036000291452\r\n4006381333931\r\n", `"036000291452" "4006381333931"`},
		{Framing{}, "036000291452\t4006381333931\x03", `"036000291452" "4006381333931"`},
		{Framing{}, "\x02A036000291452\x03", `"A036000291452"`},                          // NCR as it comes
		{Framing{}, "\x02A036000291452\r\x02E0425261\r\n", `"A036000291452" "E0425261"`}, // NCR ended by CR
		{Framing{Terminator: CR}, "\x02A036000291452\r\x02\x02B\r", `"A036000291452" "B"`},
		{Framing{}, "\r\n\r\n\r\x03", ""},
		{Framing{}, "036000291452", ""},
		{Framing{}, "]C1010950110153000310A\x1d21B\r", `"]C1010950110153000310A\x1d21B"`},
		{Framing{Terminator: CR}, "A\tB\rC\nD\r\nE\r", `"A\tB" "C\nD" "E"`},
		{Framing{Terminator: LF}, "A\r\nB\nC\rD\n", `"A" "B" "C\rD"`},
		{Framing{Terminator: CRLF}, "A\rB\nC\r\nD\r\n\r\n", `"A\rB\nC" "D"`},
		{Framing{Terminator: TAB}, "A\rB\tC\t", `"A\rB" "C"`},
		{Framing{Terminator: ETX}, "A\rB\x03C\x03", `"A\rB" "C"`},
		{Framing{Terminator: Byte + '!'}, "A!B\r!", `"A" "B\r"`},
		{Framing{Terminator: None}, "A\rB", ""},
		{Framing{Terminator: ETX, Prefix: "\x02"}, "\x02A036000291452\x03\x02E0425261\x03", `"A036000291452" "E0425261"`},
		{Framing{Terminator: ETX, Prefix: "\x0208"}, "\x0208A036000291452\x03", `"A036000291452"`}, // scanner and scale
		{Framing{Prefix: "\x02"}, "A036000291452\x03", "no-prefix"},
		{Framing{Prefix: "XY"}, "XYA\rXA\rX\rXYXY\r", `"A" no-prefix no-prefix "XY"`},
		{Framing{Terminator: ETX, Prefix: "\x02"}, "\x02\x03", "empty"},
		{Framing{Terminator: ETX, Prefix: "\x02"}, "\x02A0360\x02A036000291452\x03", `incomplete "A036000291452"`}, // cut off
		{Framing{Terminator: CR}, "\x02A0360\x02A036000291452\r", `incomplete "A036000291452"`},
		{Framing{Terminator: CR}, "A0360\x02A036000291452\r", "not-text"},
		{Framing{Terminator: CR}, "@\n\x1c\rANSI 636026\nDLDAQ1\nDACJOHN\r", "personal"},  // a licence of an older issue
		{Framing{Terminator: CR}, "@\x1e\rANSI 636026\rDCSPUBLIC\rDACJOHN\r", "personal"}, // without LF
		{Framing{Terminator: CR}, "@\rANSI 636026 DCSPUBLIC DDAN\r", "personal"},
		{Framing{Terminator: CR}, "ANSI 636026\rDCSPUBLIC\r", "personal"}, // its beginning was lost
		{Framing{Terminator: CR}, "]L0@\n\x1c\rAAMVA636026\nDAAPUBLIC,JOHN\r", "personal"},
		{Framing{Terminator: CR}, "A@\rB\r", `"A@" "B"`},
		{Framing{}, "0360\x00291452\r4006381333931\r", `line-error "4006381333931"`},
		{Framing{}, "\x80\xfe\x11\r4006381333931\r", `not-text "4006381333931"`},
		{Framing{}, "Gr\xc3\xbc\xc3\x9fe\r", `"Grüße"`},
		{Framing{}, full + "\rA\r", fmt.Sprintf("%q", full) + ` "A"`},
		{Framing{}, full + "7\rA\r", `too-long "A"`},
		{Framing{}, strings.Repeat(full, 130) + "\rA\r", `too-long "A"`}, // 1 MB
		{Framing{Terminator: CRLF}, full + "7\r\n\rA\r\n", `too-long "\rA"`},
		{Framing{}, "@\n\x1e\rANSI 636000090002DL00410278DLDAQT64235789\nDCSSAMPLE\rZW\n\r\r", "personal"},
		{Framing{Terminator: CR}, "@\n\x1e\rANSI 636000090002DL00410278DLDAQT64235789\nDCSSAMPLE\rZW\n\r\r", "personal"},
		{Framing{}, "]L0@\n\x1e\rANSI 636000090002DLDAQT64235789\rDCSSAMPLE\r", "personal"},
		{Framing{}, "a@b\rA@\r", `"a@b" "A@"`},
	} {
		f := NewFramer(c.framing)
		if got := words(f.Push([]byte(c.in), noon)); got != c.want {
			t.Errorf("%+v: %.60q gives %.90s, want %.90s", c.framing, c.in, got, c.want)
		}
	}
}

// TestFramerCutAnywhere: a frame that is too long is one error, wherever the
// reads end.
func TestFramerCutAnywhere(t *testing.T) {
	in := []byte(strings.Repeat("7", MaxFrame+2) + "\r\nA\r\n")
	for _, n := range []int{0, 1, MaxFrame - 1, MaxFrame, MaxFrame + 1, MaxFrame + 2, MaxFrame + 3, MaxFrame + 4, MaxFrame + 5, len(in)} {
		f := NewFramer(Framing{})
		first := words(f.Push(in[:n], noon))
		if got := strings.TrimSpace(first + " " + words(f.Push(in[n:], noon))); got != `too-long "A"` {
			t.Errorf("cut at %d: %s", n, got)
		}
	}
}

// TestFramerDropsLicence: nothing of a licence comes out in a later frame, and
// the label after it does.
func TestFramerDropsLicence(t *testing.T) {
	f := NewFramer(Framing{})
	at := noon
	for _, part := range []string{"@\n", "\x1e\rANSI 6360", "00090002DL\nDAQT64235789\r", "DCSSAMPLE\n", "\r"} {
		for _, frame := range f.Push([]byte(part), at) {
			if frame.Problem == nil || frame.Problem.Code != CodePersonal {
				t.Errorf("%q came out", frame.Data)
			}
		}
		at = at.Add(50 * time.Millisecond)
	}
	if !f.Pending() {
		t.Error("nothing is pending within a licence")
	}
	if got := words(f.Push([]byte("036000291452\r"), at.Add(licenceQuiet))); got != `"036000291452"` {
		t.Errorf("after the licence: %s", got)
	}
}

// Noise on the line can look like the head of a licence: it must not make the
// scanner deaf for as long as it goes on.
func TestFramerNoiseIsNoEndlessLicence(t *testing.T) {
	f := NewFramer(Framing{})
	f.Push([]byte("@\n"), noon)
	at := noon
	for range MaxFrame / 64 {
		at = at.Add(licenceQuiet / 2)
		if got := f.Push(bytes.Repeat([]byte("noise\r\n\x80"), 8), at); len(got) > 0 {
			t.Fatalf("too early: %s", words(got))
		}
	}
	if got := words(f.Push([]byte("rest\r036000291452\r"), at.Add(licenceQuiet/2))); got != `"036000291452"` {
		t.Errorf("got %s", got)
	}
}

func TestFramerTimes(t *testing.T) {
	f := NewFramer(Framing{})
	f.Push([]byte("0360002"), noon)
	if got := f.Deadline(); !f.Pending() || !got.Equal(noon.Add(stall)) {
		t.Errorf("the deadline is %s", got)
	}
	later := noon.Add(stall - time.Millisecond)
	if got := words(f.Expire(later)); got != "" {
		t.Errorf("given up too early: %s", got)
	}
	frames := f.Push([]byte("91452\r"), later)
	if words(frames) != `"036000291452"` || !frames[0].At.Equal(later) {
		t.Errorf("in two reads: %s at %s", words(frames), frames[0].At)
	}
	if f.Pending() || !f.Deadline().IsZero() {
		t.Error("something is pending")
	}
}

// TestFramerStall: what no terminator follows never joins the next label.
func TestFramerStall(t *testing.T) {
	f := NewFramer(Framing{})
	f.Push([]byte("0360002"), noon)
	frames := f.Push([]byte("4006381333931\r"), noon.Add(stall))
	if got := words(frames); got != `incomplete "4006381333931"` || !frames[0].At.Equal(noon) {
		t.Errorf("by the next label: %s", got)
	}
	f.Push([]byte("0360002"), noon.Add(time.Minute))
	if got := words(f.Expire(noon.Add(time.Minute + stall))); got != "incomplete" {
		t.Errorf("by time: %s", got)
	}
	if got := words(f.Expire(noon.Add(time.Hour))); got != "" {
		t.Errorf("twice: %s", got)
	}
	f.Push(bytes.Repeat([]byte{'7'}, MaxFrame+1), noon.Add(2*time.Hour))
	f.Expire(noon.Add(2*time.Hour + stall))
	if got := words(f.Push([]byte("A\r"), noon.Add(3*time.Hour))); got != `"A"` {
		t.Errorf("after a long frame and silence: %s", got)
	}
}

func TestFramerGap(t *testing.T) {
	for _, framing := range []Framing{{Terminator: None}, {Terminator: None, Gap: defaultGap}, {Gap: defaultGap}} {
		f := NewFramer(framing)
		f.Push([]byte("0360002"), noon)
		f.Push([]byte("91452"), noon.Add(50*time.Millisecond))
		if got := words(f.Expire(noon.Add(140 * time.Millisecond))); got != "" {
			t.Errorf("%+v: ended too early: %s", framing, got)
		}
		frames := f.Push([]byte("4006381333931"), noon.Add(time.Second))
		if words(frames) != `"036000291452"` || !frames[0].At.Equal(noon.Add(50*time.Millisecond)) {
			t.Errorf("%+v: by the next read: %s", framing, words(frames))
		}
		if got := words(f.Expire(noon.Add(2 * time.Second))); got != `"4006381333931"` {
			t.Errorf("%+v: by time: %s", framing, got)
		}
		if got := words(f.Expire(noon.Add(3 * time.Second))); got != "" {
			t.Errorf("%+v: twice: %s", framing, got)
		}
	}
}

func TestFramerAllocates(t *testing.T) {
	f := NewFramer(Framing{})
	in := []byte("036000291452\r4006381333931\r")
	f.Push(in, noon)
	if got := testing.AllocsPerRun(100, func() { f.Push(in, noon) }); got > 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestParseTerminator(t *testing.T) {
	for s, want := range map[string]Terminator{
		"": Auto, "auto": Auto, "CR": CR, "cr": CR, "LF": LF, "CRLF": CRLF, "cr lf": CRLF, "TAB": TAB, "ETX": ETX,
		"none": None, "0x03": ETX, "0X0D": CR, "1e": Byte + 0x1e, "EOT": Byte + 4,
		"\r": CR, `\r`: CR, `\x0d`: CR, "\r\n": CRLF, `\r\n`: CRLF, "CR-LF": CRLF, "\x04": Byte + 4,
	} {
		if got, err := ParseTerminator(s); err != nil || got != want {
			t.Errorf("ParseTerminator(%q) = %#x, %v", s, got, err)
		}
	}
	for _, s := range []string{"NUL", "0x00", "0x123", "3", "0x", "enter", "CRCR", "\x00", `\x00`, `\n\r`} {
		if got, err := ParseTerminator(s); err == nil || !strings.Contains(err.Error(), "terminator") {
			t.Errorf("ParseTerminator(%q) = %#x, %v", s, got, err)
		}
	}
}

func TestParsePrefix(t *testing.T) {
	for s, want := range map[string]string{"": "", "STX": "\x02", "stx": "\x02", "0x02": "\x02", "0x023038": "\x0208", "S:": "S:", "02": "\x02", "1b": "\x1b", "20": "20", "00": "00", `\x02A`: "\x02A", `a"\`: `a"\`, "\x02": "\x02"} {
		if got, err := ParsePrefix(s); err != nil || got != want {
			t.Errorf("ParsePrefix(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"0x", "0x2", "0x0g", "0x00"} {
		if got, err := ParsePrefix(s); err == nil || !strings.Contains(err.Error(), "prefix") {
			t.Errorf("ParsePrefix(%q) = %q, %v", s, got, err)
		}
	}
}

// FuzzFramer: however the stream is cut, the frames are the same, and each is
// what it has to be.
func FuzzFramer(f *testing.F) {
	for _, in := range []string{"036000291452\r\n4006381333931\r", "\x02A036000291452\x03", "a\x00b\rc\n", "@\n\x1e\rANSI 636000\r\n", "A\r\r\n\nB\r\n", "XYA\rX\rXY\r"} {
		for kind := range byte(8) {
			f.Add([]byte(in), uint16(5), kind)
		}
	}
	framings := []Framing{{}, {Terminator: CR}, {Terminator: LF}, {Terminator: CRLF}, {Terminator: ETX, Prefix: "\x02"},
		{Terminator: None}, {Prefix: "XY"}, {Terminator: TAB, Gap: time.Second}}
	f.Fuzz(func(t *testing.T, in []byte, cut uint16, kind byte) {
		framing := framings[int(kind)%len(framings)]
		end := noon.Add(time.Minute)
		whole := NewFramer(framing)
		want := words(whole.Push(in, noon)) + "|" + words(whole.Expire(end))

		n := min(int(cut), len(in))
		parts := NewFramer(framing)
		got := words(parts.Push(in[:n], noon))
		if more := words(parts.Push(in[n:], noon)); got != "" && more != "" {
			got += " " + more
		} else {
			got += more
		}
		if got += "|" + words(parts.Expire(end)); got != want {
			t.Fatalf("%+v: %q cut at %d gives %s, whole %s", framing, in, n, got, want)
		}
		if parts.Pending() {
			t.Fatalf("%+v: %q: something is pending at the end", framing, in)
		}
		for _, frame := range NewFramer(framing).Push(in, noon) {
			if frame.Problem == nil && (len(frame.Data) == 0 || len(frame.Data) > MaxFrame || !isText(frame.Data)) {
				t.Fatalf("%+v: %q gives the frame %q", framing, in, frame.Data)
			}
		}
	})
}

func BenchmarkFramer(b *testing.B) {
	b.ReportAllocs()
	f := NewFramer(Framing{})
	in := []byte("]E04006381333931\r\n")
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if len(f.Push(in, noon)) != 1 {
			b.Fatal("no frame")
		}
	}
}
