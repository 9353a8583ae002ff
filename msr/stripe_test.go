package msr

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// encode writes a track as the ones and zeros of its stripe, with LRC.
func encode(c stripeCode, text string) (bits []bool) {
	put := func(v byte) {
		odd := true
		for i := range c.bits - 1 {
			one := v>>i&1 != 0
			bits = append(bits, one)
			odd = odd != one
		}
		bits = append(bits, odd)
	}
	sum := byte(0)
	for _, r := range []byte(text) {
		put(r - c.first)
		sum ^= r - c.first
	}
	put(sum)
	return bits
}

// packed puts zeros around bits, and all in bytes.
func packed(before int, bits []bool, behind int) []byte {
	data := make([]byte, (before+len(bits)+behind+7)/8)
	for i, one := range bits {
		if at := before + i; one {
			data[at/8] |= 1 << (at % 8)
		}
	}
	return data
}

func reversed(bits []bool) []bool {
	bits = slices.Clone(bits)
	slices.Reverse(bits)
	return bits
}

// stripeOf reads bits and checks that nothing is left beside the track.
func stripeOf(t tester, bits []byte, number int) (track, code string) {
	var text [108]byte
	got, code := Stripe(bits, number, text[:])
	if code != "" && got != nil || len(bytes.Trim(text[len(got):], "\x00")) > 0 {
		t.Errorf("code %q, got %q, left %q", code, got, text[len(got):])
	}
	return string(got), code
}

// By hand: the characters of the standard, the lowest bit first, parity last.
func TestStripeByHand(t *testing.T) {
	for _, c := range []struct {
		bits   string
		number int
		want   string
	}{
		{"11010 00001 11111 00100", 2, ";0?"},
		{"0000000 11010 00001 11111 00100 00", 3, ";0?"},
		{"000 1010001 1000011 1111100 1101110 0000", 1, "%A?"},
		{"1010001 1000011 1111100 1101110", 3, "%A?"},
		{"0111011 0011111 1100001 1000101 000000", 1, "%A?"},
	} {
		var bits []bool
		for _, r := range strings.ReplaceAll(c.bits, " ", "") {
			bits = append(bits, r == '1')
		}
		if got, code := stripeOf(t, packed(0, bits, 0), c.number); got != c.want || code != "" {
			t.Errorf("%s: got %q, code %q", c.bits, got, code)
		}
	}
}

// Of whatever card, however it was swiped: the track that was encoded; and with a
// bit that is wrong, no track.
func TestStripe(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		number := rapid.IntRange(1, 3).Draw(rt, "number")
		code, digits := narrowCode, "0123456789:<=>"
		if number == 1 || number == 3 && rapid.Bool().Draw(rt, "wide") {
			code, digits = wideCode, " !#$&'()*+,-./0123456789:<=>@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_"
		}
		most := []int{1: 76, 2: 37, 3: 104}[number]
		data := rapid.SliceOfN(rapid.SampledFrom([]byte(digits)), 0, most).Draw(rt, "data")
		track := string(rune(code.start)) + string(data) + "?"
		bits := encode(code, track)
		if rapid.Bool().Draw(rt, "backwards") {
			bits = reversed(bits)
		}
		before, behind := rapid.IntRange(0, 40).Draw(rt, "before"), rapid.IntRange(0, 40).Draw(rt, "behind")
		if got, code := stripeOf(rt, packed(before, bits, behind), number); got != track || code != "" {
			rt.Fatalf("%q: got %q, code %q", track, got, code)
		}
		at := rapid.IntRange(0, len(bits)-1).Draw(rt, "wrong")
		bits[at] = !bits[at]
		if got, code := stripeOf(rt, packed(before, bits, behind), number); got != "" || code == "" {
			rt.Fatalf("%q with bit %d wrong: got %q, code %q", track, at, got, code)
		}
	})
}

func TestStripeErrors(t *testing.T) {
	track := encode(narrowCode, ";4111=29?")
	long := encode(narrowCode, ";"+strings.Repeat("1", 107)+"?")
	for _, c := range []struct {
		name   string
		bits   []byte
		number int
		want   string
	}{
		{"nothing", nil, 1, ""},
		{"clocking zeros", make([]byte, 40), 3, ""},
		{"a single one", packed(9, []bool{true}, 9), 2, CodeStartSentinel},
		{"noise", bytes.Repeat([]byte{0xff}, 40), 1, CodeStartSentinel},
		{"the other code", packed(8, track, 8), 1, CodeStartSentinel},
		{"parity", packed(0, append(track[:7:7], append([]bool{!track[7]}, track[8:]...)...), 8), 2, CodeParity},
		{"cut", packed(0, track[:22], 0), 2, CodeEndSentinel},
		{"without LRC", packed(0, track[:45], 0), 2, CodeLRC},
		{"more behind it", packed(3, append(track[:50:50], false, true), 3), 2, CodeLength},
		{"too long", packed(3, long, 3), 3, CodeLength},
	} {
		if got, code := stripeOf(t, c.bits, c.number); got != "" || code != c.want {
			t.Errorf("%s: got %q, code %q, want %s", c.name, got, code, c.want)
		}
	}
}

// FuzzStripe: no bits make it panic, and a track has its sentinels.
func FuzzStripe(f *testing.F) {
	f.Add(packed(8, encode(narrowCode, two(visa)), 8), byte(1))
	f.Add(packed(8, encode(wideCode, one(visa)), 8), byte(0))
	f.Fuzz(func(t *testing.T, bits []byte, number byte) {
		track, code := stripeOf(t, bits, int(number%3)+1)
		if track != "" && (code != "" || track[len(track)-1] != end || strings.Count(track, "?") != 1 || track[0] != wideStart && track[0] != narrowStart) {
			t.Errorf("%q, code %q", track, code)
		}
	})
}
