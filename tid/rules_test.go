package tid

import (
	"errors"
	"regexp"
	"testing"
)

func patterns(texts ...string) (list []*regexp.Regexp) {
	for _, text := range texts {
		list = append(list, regexp.MustCompile(text))
	}
	return list
}

func TestRules(t *testing.T) {
	on := Rules{Payment: true, Country: "US", Issuer: "0001", Loyalty: patterns("2900[0-9]{9}", "77|7700[0-9]{6}", "[0-9]{3}")}
	off := on
	off.Payment = false
	bare := Rules{Country: "US"}
	for _, c := range []struct {
		name   string
		make   func([]byte) (TID, error)
		number string
		want   string // "" is err
		err    error
	}{
		{"card", on.FromCard, "4111111111111111", "4111111111111111", nil},
		{"card, off", off.FromCard, "4111111111111111", "", ErrNotConfigured},
		{"card of 12 digits", on.FromCard, "411111111117", "411111111117", nil},
		{"card, check digit", on.FromCard, "4111111111111112", "", ErrNotATID},
		{"card, check digit, off", off.FromCard, "4111111111111112", "", ErrNotATID},
		{"card, loyalty", on.FromCard, "2900123456789", "00012900123456789", nil},
		{"card, loyalty, off", off.FromCard, "2900123456789", "00012900123456789", nil},
		{"card, ends in loyalty", on.FromCard, "00002900123456789", "", ErrNotATID},
		{"card, longer than loyalty", on.FromCard, "29001234567890", "", ErrNotATID},
		{"card, second alternative", on.FromCard, "7700123456", "00017700123456", nil},
		{"card, loyalty too short for any", on.FromCard, "123", "", ErrNotATID},
		{"card, letters", on.FromCard, "29001234567AB", "", ErrNotATID},
		{"card, empty", on.FromCard, "", "", ErrNotATID},
		{"keypad, phone", on.FromKeypad, "2025550123", "12025550123", nil},
		{"keypad, loyalty", on.FromKeypad, "2900123456789", "00012900123456789", nil},
		{"keypad, loyalty before phone", on.FromKeypad, "7700123456", "00017700123456", nil},
		{"keypad, card", on.FromKeypad, "4111111111111111", "", ErrNotATID},
		{"keypad, no country", Rules{Payment: true}.FromKeypad, "2025550123", "", ErrNotATID},
		{"keypad, empty", on.FromKeypad, "", "", ErrNotATID},
		{"label, card", on.FromLabel, "4111111111111111", "4111111111111111", nil},
		{"label, card, off", off.FromLabel, "4111111111111111", "", ErrRefused},
		{"label of 13 digits", bare.FromLabel, "4222222222222", "", ErrRefused},
		{"label of 12 digits", on.FromLabel, "411111111117", "", ErrNotATID},
		{"label of 20 digits", on.FromLabel, "41111111111111111115", "", ErrNotATID},
		{"label, loyalty", off.FromLabel, "2900123456789", "00012900123456789", nil},
		{"label, check digit", on.FromLabel, "4111111111111112", "", ErrNotATID},
		{"label, empty", on.FromLabel, "", "", ErrNotATID},
	} {
		id, err := consumed(t, c.number, c.make)
		if digitsOf(id) != c.want || !errors.Is(err, c.err) || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, error %v; want %q, %v", c.name, digitsOf(id), err, c.want, c.err)
		}
	}
}

func TestLoyaltyNeedsAnIssuer(t *testing.T) {
	r := Rules{Issuer: "1", Loyalty: patterns("2900[0-9]{9}")}
	_, err := consumed(t, "2900123456789", r.FromCard)
	if err == nil || errors.Is(err, ErrNotATID) || errors.Is(err, ErrNotConfigured) {
		t.Errorf("error %v", err)
	}
	for issuer, ok := range map[string]bool{"0000": true, "9876": true, "": false, "123": false, "12345": false, "12a4": false} {
		if err := CheckIssuer(issuer); (err == nil) != ok {
			t.Errorf("%q: %v", issuer, err)
		}
	}
}

func TestIsLoyaltyLeavesDigits(t *testing.T) {
	digits := []byte("2900123456789")
	if !(Rules{Loyalty: patterns("2900[0-9]{9}")}).IsLoyalty(digits) || string(digits) != "2900123456789" {
		t.Errorf("digits are %q", digits)
	}
	if (Rules{Loyalty: patterns("[0-9]*")}).IsLoyalty(nil) {
		t.Error("nothing is a loyalty number")
	}
}
