package msr

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"posd/tid"
)

// tester is a testing.T or a rapid.T.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
}

func keypad(t testing.TB, o KeypadOptions) *Keypad {
	t.Helper()
	if o.Rules.Country == "" {
		o.Rules = rules
	}
	k, err := NewKeypad(o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// say gives an entry in a word or two.
func say(t tester, e Entry) string {
	if (e.Kind == EntryNumber) != (e.Swipe != nil) {
		t.Errorf("%s with swipe %v", e.Kind, e.Swipe)
	}
	if e.Swipe == nil {
		return string(e.Kind)
	}
	if e.Swipe.Source != SourceKeypad || e.Swipe.Tracks != nil || e.Swipe.Form != "" ||
		(e.Swipe.Code == "") != (e.Swipe.Reason == "") || strings.ContainsAny(e.Swipe.Reason, "0123456789") {
		t.Errorf("swipe %+v", e.Swipe)
	}
	return string(e.Kind) + " " + outcome(*e.Swipe)
}

// clean checks that no digit is left.
func clean(t testing.TB, k *Keypad) {
	t.Helper()
	if k.buf != [maxKeyed]byte{} || k.n != 0 {
		t.Errorf("%d digits are left, and the buffer is not clear", k.n)
	}
}

func press(t testing.TB, k *Keypad, keys string, now time.Time) (got []string) {
	t.Helper()
	for _, c := range []byte(keys) {
		if e, ok := k.Push(c, now); ok {
			got = append(got, say(t, e))
			if e.Kind != EntryTimeout { // which the first digit of another number may bring out
				clean(t, k)
			}
		}
	}
	return got
}

func TestKeypad(t *testing.T) {
	for _, c := range []struct{ name, keys, want string }{
		{"phone", "2025550123\r", "number phone 12025550123"},
		{"phone of the example", "5551234567\n", "number phone 15551234567"},
		{"CR LF", "2025550123\r\n2025550124\r\n", "number phone 12025550123|number phone 12025550124"},
		{"as written", "(202) 555-0123\r", "number phone 12025550123"},
		{"loyalty", "2900123456789\r", "number loyalty 00012900123456789"},
		{"loyalty before phone", "770001\r", "number loyalty 0001770001"},
		{"card", visa + "\r", "number not-a-tid"},
		{"too short", "12\r", "number not-a-tid"},
		{"Enter alone", "\r\n\r", ""},
		{"clear", "2025\x1b2025550123\r", "clear|number phone 12025550123"},
		{"clears", "1C1c1\x18\x1b", "clear|clear|clear|clear"},
		{"backspace", "20255501\x08\x7f0123\r", "number phone 12025550123"},
		{"backspace on nothing", "\x08\x08\x7f2025550123\r", "number phone 12025550123"},
		{"close", "*", "close"},
		{"close after a number", "2025550123\r*", "number phone 12025550123|close"},
		{"close with digits clears first", "2025*5550123\r*", "clear|number not-a-tid|close"},
		{"close twice with digits", "2025**", "clear|close"},
		{"26 digits", strings.Repeat("9", 26) + "\r", "number not-a-tid"},
		{"27 digits", strings.Repeat("9", 27) + "\r2025550123\r", "overflow|number phone 12025550123"},
		{"a thousand digits", strings.Repeat("9", 1000) + "\r*", "overflow|close"},
		{"overflow, clear", strings.Repeat("9", 99) + "\x1b*", "overflow|clear|close"},
		{"overflow, close", strings.Repeat("9", 99) + "**", "overflow|clear|close"},
		{"garbage", "202\x00\xff\x805550123\r2025550123\r", "line-error|number phone 12025550123"},
		{"garbage alone", "\x00\x01\x02\r", "line-error"},
	} {
		k := keypad(t, KeypadOptions{})
		if got := strings.Join(press(t, k, c.keys, start), "|"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		clean(t, k)
		if !k.Deadline().IsZero() {
			t.Errorf("%s: a deadline with nothing waiting", c.name)
		}
	}
}

func TestKeypadTimeout(t *testing.T) {
	k := keypad(t, KeypadOptions{})
	press(t, k, "202", start)
	press(t, k, "555", start.Add(20*time.Second))
	want := start.Add(50 * time.Second)
	if k.Deadline() != want {
		t.Errorf("deadline %v, want %v", k.Deadline(), want)
	}
	if e, ok := k.Expire(want.Add(-1)); ok {
		t.Errorf("too early: %v", e)
	}
	if e, ok := k.Expire(want); !ok || say(t, e) != "timeout" {
		t.Errorf("got %v, %t", e, ok)
	}
	clean(t, k)
	if e, ok := k.Expire(want.Add(time.Hour)); ok {
		t.Errorf("twice: %v", e)
	}
	if got := strings.Join(press(t, k, "2025550123\r", want.Add(time.Hour)), "|"); got != "number phone 12025550123" {
		t.Errorf("then %q", got)
	}
}

// Also where nobody calls Expire, old digits are no part of the next number.
func TestKeypadPushExpires(t *testing.T) {
	later := start.Add(31 * time.Second)
	for keys, want := range map[string]string{
		"2025550123\r": "timeout|number phone 12025550123", "\r": "timeout", "*": "close", "\x1b": "clear",
	} {
		k := keypad(t, KeypadOptions{})
		press(t, k, "999", start)
		if got := strings.Join(press(t, k, keys[:1], later), "|") + strings.Join(append([]string{""}, press(t, k, keys[1:], later)...), "|"); got != want {
			t.Errorf("%q: got %q, want %q", keys, got, want)
		}
	}
	k := keypad(t, KeypadOptions{}) // dropping ends with silence, without a word
	press(t, k, "\x00", start)
	if got := strings.Join(press(t, k, "2025550123\r", later), "|"); got != "number phone 12025550123" {
		t.Errorf("got %q", got)
	}
}

func TestKeypadOptions(t *testing.T) {
	for _, c := range "0123456789\r\n\x1b\x18Cc\x08\x7f\x01" {
		if _, err := NewKeypad(KeypadOptions{Close: byte(c)}); err == nil {
			t.Errorf("close key %q was taken", c)
		}
	}
	if _, err := NewKeypad(KeypadOptions{Close: 0xff}); err == nil {
		t.Error("close key 0xff was taken")
	}
	if _, err := NewKeypad(KeypadOptions{Timeout: -1}); err == nil {
		t.Error("a time-out below zero was taken")
	}
	k := keypad(t, KeypadOptions{Close: '#', Timeout: time.Second})
	if got := strings.Join(press(t, k, "*2025550123\r#", start), "|"); got != "number phone 12025550123|close" {
		t.Errorf("got %q", got)
	}
	press(t, k, "1", start)
	if k.Deadline() != start.Add(time.Second) {
		t.Errorf("deadline %v", k.Deadline())
	}
}

func TestKeypadWithoutCountryOrIssuer(t *testing.T) {
	for want, r := range map[string]tid.Rules{
		"number not-a-tid":      {Issuer: "0001"},
		"number not-configured": {Issuer: "", Loyalty: rules.Loyalty},
	} {
		k, err := NewKeypad(KeypadOptions{Rules: r})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(press(t, k, "2900123456789\r", start), "|"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// model is a keypad in the plainest words.
type model struct {
	digits string
	drop   bool
	last   time.Time
}

func (m *model) push(c byte, now time.Time) string {
	late := m.expire(now)
	m.last = now
	if out := m.press(c); out != "" {
		return out
	}
	return late
}

func (m *model) press(c byte) string {
	waiting := m.digits != "" || m.drop
	switch {
	case strings.ContainsRune("\r\n", rune(c)):
		digits := m.digits
		*m = model{last: m.last}
		if digits != "" {
			return "number " + digits
		}
	case strings.ContainsRune("\x1bC", rune(c)) || c == '*' && waiting:
		*m = model{last: m.last}
		return "clear"
	case c == '*':
		return "close"
	case c == 0:
		if dropping := m.drop; dropping {
			return ""
		}
		*m = model{drop: true, last: m.last}
		return "line-error"
	case m.drop:
	case c == '\b' && m.digits != "":
		m.digits = m.digits[:len(m.digits)-1]
	case c >= '0' && c <= '9' && len(m.digits) == maxKeyed:
		*m = model{drop: true, last: m.last}
		return "overflow"
	case c >= '0' && c <= '9':
		m.digits += string(c)
	}
	return ""
}

func (m *model) expire(now time.Time) (out string) {
	if (m.digits != "" || m.drop) && now.Sub(m.last) >= 30*time.Second {
		if m.digits != "" {
			out = "timeout"
		}
		*m = model{last: m.last}
	}
	return out
}

// meant is what the shop's rules make of digits.
func meant(digits string) string {
	id, err := rules.FromKeypad([]byte(digits))
	if err != nil {
		return CodeNotATID
	}
	return outcome(Swipe{TID: id})
}

func TestKeypadAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := keypad(t, KeypadOptions{})
		var m model
		now := start
		for range rapid.IntRange(1, 200).Draw(rt, "steps") {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, 0, 0, 0, 0, 0, time.Second, 29 * time.Second, 30 * time.Second, time.Minute}).Draw(rt, "pause"))
			var got, want string
			var e Entry
			var ok bool
			if rapid.IntRange(0, 20).Draw(rt, "what") == 0 {
				want = m.expire(now)
				e, ok = k.Expire(now)
			} else {
				c := rapid.SampledFrom([]byte("00112233445566778899\r\n*\x1bC\b-\x00")).Draw(rt, "key")
				want = m.push(c, now)
				if digits, ok := strings.CutPrefix(want, "number "); ok {
					want = "number " + meant(digits)
				}
				e, ok = k.Push(c, now)
			}
			if ok {
				got = say(rt, e)
			}
			if got != want {
				rt.Fatalf("got %q, want %q", got, want)
			}
			if string(k.buf[:k.n]) != m.digits || strings.Trim(string(k.buf[k.n:]), "\x00") != "" {
				rt.Fatalf("the buffer holds %q, want %q", k.buf, m.digits)
			}
			if k.Deadline().IsZero() != (m.digits == "" && !m.drop) {
				rt.Fatalf("deadline %v", k.Deadline())
			}
		}
	})
}
