package msr

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func seeds() []string {
	return []string{
		"", "%", "?", ";?", "%E?;E?+E?", one(visa) + two(visa) + three, checked(one(mc)) + checked(two(mc)) + checked(three),
		city + licence, "%L" + member + "^X?", one(visa)[:40] + two(visa), two(visa)[1:], "%B3782 822463 10005^A/B^===?", "\x02\x1b" + two(amex) + "0\r\x03",
		strings.Repeat(";", 600), "\x00%B\x00?\r", strings.Repeat("%?", 300), "%%%;;;+++???", ";" + visa + "=", "\x021\x031\r\x02\x02\x03", "\x7f", "\x7f1234567890\x7f",
	}
}

var longNumber = regexp.MustCompile("[0-9]{5}")

// FuzzRead: no frame makes a reader panic or outlives it, and a swipe shows
// nothing of it.
func FuzzRead(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s), true, false)
		f.Add([]byte(s), false, true)
	}
	f.Fuzz(func(t *testing.T, frame []byte, lrc, payment bool) {
		r := Reader{Rules: rules, LRC: lrc}
		r.Rules.Payment = payment
		text := string(frame)
		again := outcome(r.Read([]byte(text)))
		s := read(t, r, text)
		if outcome(s) != again {
			t.Errorf("once %s, once %s", again, outcome(s))
		}
		if !payment && s.TID.Kind().String() == "payment" {
			t.Error("a payment card was read")
		}
		s.TID.Use(func(d []byte) {
			plain := strings.ReplaceAll(text, " ", "")
			if !strings.Contains(plain, strings.TrimPrefix(string(d), "0001")) {
				t.Error("a number that is not in the frame")
			}
		})
		out, err := json.Marshal(s)
		if err != nil || longNumber.Match(out) {
			t.Errorf("%s shows digits (%v)", out, err)
		}
	})
}

// FuzzFramer: however a stream is split, it gives the same frames and errors,
// and nothing of it is left but the frame that has begun.
func FuzzFramer(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s+"\r"+s), []byte{1, 2, 3}, uint8(0))
		f.Add([]byte("\x02"+s+"\x03"+s+"\r\n"), []byte{7}, uint8(20))
	}
	f.Fuzz(func(t *testing.T, stream, splits []byte, gap uint8) {
		run := func(size func(i int) int) (string, string) {
			fr := Framer{Gap: time.Duration(gap) * time.Millisecond}
			var got collector
			for i, rest := 0, bytes.Clone(stream); len(rest) > 0; i++ {
				piece := rest[:min(size(i), len(rest))]
				rest = rest[len(piece):]
				fr.Push(piece, start, got.emit)
				if slices.ContainsFunc(piece, func(c byte) bool { return c != 0 }) {
					t.Fatal("what was pushed was not wiped")
				}
			}
			if bytes.IndexFunc(fr.buf[fr.n:], func(r rune) bool { return r != 0 }) >= 0 {
				t.Fatal("the buffer holds more than the frame that has begun")
			}
			if fr.Deadline().IsZero() != (fr.n == 0 && !fr.bad && !fr.stx) {
				t.Fatal("what waits has no deadline")
			}
			fr.Expire(start.Add(time.Hour), got.emit)
			holdsNothing(t, &fr)
			return got.String(), fmt.Sprint(len(got.got))
		}
		whole, n := run(func(int) int { return len(stream) })
		for _, size := range []func(int) int{
			func(int) int { return 1 },
			func(i int) int {
				if len(splits) == 0 {
					return 2
				}
				return 1 + int(splits[i%len(splits)])
			},
		} {
			if got, m := run(size); got != whole || m != n {
				t.Errorf("split: %q (%s), whole: %q (%s)", got, m, whole, n)
			}
		}
	})
}

// FuzzKeypad: no keys make a keypad panic, and between entries it holds nothing.
func FuzzKeypad(f *testing.F) {
	for _, s := range []string{"", "2025550123\r", "202\x1b*", strings.Repeat("9", 40) + "\r", "2900123456789\n*", "1\b\b\x00\xff\r", visa + "\r"} {
		f.Add([]byte(s), uint8(1))
		f.Add([]byte(s), uint8(40))
	}
	f.Fuzz(func(t *testing.T, keys []byte, pause uint8) {
		k := keypad(t, KeypadOptions{})
		now := start
		for i, c := range keys {
			if i%5 == 4 {
				now = now.Add(time.Duration(pause) * time.Second)
			}
			e, ok := k.Push(c, now)
			if ok {
				_ = say(t, e)
			}
			if ok && e.Kind != EntryTimeout {
				clean(t, k)
			}
			if strings.Trim(string(k.buf[k.n:]), "\x00") != "" {
				t.Fatal("digits are left behind those that wait")
			}
			if k.Deadline().IsZero() != (k.n == 0 && !k.bad) {
				t.Fatal("what waits has no deadline")
			}
		}
		k.Expire(now.Add(time.Hour))
		clean(t, k)
	})
}
