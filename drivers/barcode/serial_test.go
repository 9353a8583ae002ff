package barcode

import (
	"bytes"
	"strings"
	"testing"

	"posd/drivers/driver"
	"posd/tid"
)

func TestPresets(t *testing.T) {
	s, err := withPreset(driver.Settings{"preset": "ncr", "Terminator": "CR", "ids": ""})
	if err != nil || s.Get("prefix") != "STX" || s.Get("terminator") != "CR" || s.Get("ids") != "ncr" || len(s) != 4 {
		t.Errorf("got %v, %v", s, err)
	}
	if s, err = withPreset(driver.Settings{"ids": "aim"}); err != nil || len(s) != 1 {
		t.Errorf("without: %v, %v", s, err)
	}
	known := Serial()
	for name, preset := range presets() {
		if err := preset.Check(known); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := known.Open(driver.Attributes{}, driver.Settings{"preset": name}, tid.Rules{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(known.Settings[0].Doc, name+" is ") || !strings.Contains(known.Settings[0].Values, name) {
			t.Errorf("%s is not in %q", name, known.Settings[0].Doc)
		}
	}
	for say, s := range map[string]driver.Settings{
		"preset": {"preset": "epson"},
		"bcc":    {"bcc": "true"},
		"suffix": {"suffix": "0x0"},
		"true":   {"bcc": "maybe"},
	} {
		if _, err := known.Open(driver.Attributes{}, s, tid.Rules{}); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v: got %v, want %q", s, err, say)
		}
	}
}

// checked gives a label with its block check character.
func checked(prefix, text string) []byte {
	var sum byte = 3
	for i := range len(text) {
		sum ^= text[i]
	}
	return append([]byte(prefix+text+"\x03"), sum)
}

// Reads may be cut anywhere, and the sum is that of all bytes but the prefix.
func TestBCC(t *testing.T) {
	for name, c := range map[string]struct {
		s    driver.Settings
		send []byte
		want string
	}{
		"preset":          {driver.Settings{"preset": "ncr"}, checked("\x02", "B3ABC"), "ABC"},
		"STX by itself":   {driver.Settings{"terminator": "ETX"}, checked("\x02", "ABC"), "ABC"},
		"without STX":     {driver.Settings{"terminator": "ETX"}, checked("", "ABC"), "ABC"},
		"two bytes":       {driver.Settings{"terminator": "ETX", "prefix": "XY"}, checked("XY", "ABC"), "ABC"},
		"prefix in label": {driver.Settings{"terminator": "ETX", "prefix": "X"}, checked("X", "XXX"), "XXX"},
		"two labels":      {driver.Settings{"preset": "ncr"}, append(checked("\x02", "B3ABC"), checked("\x02", "B3DEF")...), "ABC DEF"},
		"wrong, right":    {driver.Settings{"preset": "ncr"}, append([]byte("\x02B3ABC\x03\x03"), checked("\x02", "B3DEF")...), "bcc DEF"},
		"bad prefix":      {driver.Settings{"preset": "ncr"}, append(checked("", "B3ABC"), checked("\x02", "B3DEF")...), "no-prefix DEF"},
	} {
		c.s["bcc"] = "true"
		for size := 1; size <= len(c.send); size++ {
			dec, err := Serial().Open(driver.Attributes{}, c.s, tid.Rules{})
			if err != nil {
				t.Fatal(err)
			}
			var got readings
			for rest := c.send; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				driver.Feed(dec, driver.Read{At: at(0), Data: bytes.Clone(rest[:min(size, len(rest))])}, got.emit)
			}
			if s := got.codes(); s != c.want {
				t.Errorf("%s, in pieces of %d: got %q, want %q", name, size, s, c.want)
			}
		}
	}
}

// What is not whole when the line falls silent has no part in what comes next.
func TestBCCSilence(t *testing.T) {
	for _, cut := range []string{"\x02B3ABC", "\x02B3ABC\x03", "\x03", "\x02"} {
		dec, err := Serial().Open(driver.Attributes{}, driver.Settings{"preset": "ncr", "bcc": "true"}, tid.Rules{})
		if err != nil {
			t.Fatal(err)
		}
		var got readings
		driver.Feed(dec, driver.Read{At: at(0), Data: []byte(cut)}, got.emit)
		driver.Feed(dec, driver.Read{At: at(5), Data: checked("\x02", "B3DEF")}, got.emit)
		if s := got.codes(); !strings.HasSuffix(s, "DEF") || strings.Contains(s, "bcc") {
			t.Errorf("%q: got %q", cut, s)
		}
	}
}

// What stands behind a card in a read is of the card, and is forgotten.
func TestSerialDropsCards(t *testing.T) {
	for _, s := range []driver.Settings{nil, {"suffix": "C"}, {"terminator": "none"}} {
		dec, err := Serial().Open(driver.Attributes{}, s, tid.Rules{})
		if err != nil {
			t.Fatal(err)
		}
		var got readings
		driver.Feed(dec, driver.Read{At: at(0), Data: []byte(";4111111111111111=30121010?\r;4111")}, got.emit)
		driver.Feed(dec, driver.Read{At: at(9)}, got.emit)
		if codes := got.codes(); codes != "card-data" {
			t.Errorf("%v: got %q", s, codes)
		}
		if bytes.Contains(memory(dec.(*serialDecoder).framer), []byte("4111")) {
			t.Errorf("%v: the framer holds it", s)
		}
	}
}

// Of several labels in one read, one that is a card's does not spoil the others.
func TestCardAmongLabels(t *testing.T) {
	dec, err := Serial().Open(driver.Attributes{}, nil, tid.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	var got readings
	driver.Feed(dec, driver.Read{At: at(0), Data: []byte("96385074\r;4111111111111111=30121010?\r5901234123457\r")}, got.emit)
	if s := got.codes(); s != "96385074 card-data 5901234123457" {
		t.Errorf("got %q", s)
	}
}

// Of what could not be read nothing is left either: it may have been a card's. What
// comes next is.
func TestSerialForgetsWhatWasBad(t *testing.T) {
	for name, c := range map[string]struct {
		s    driver.Settings
		send string
		want string
	}{
		"no prefix":  {driver.Settings{"prefix": "X"}, ";4111111111111111=30121010\r", "no-prefix"},
		"incomplete": {nil, ";4111111111111111=30121010", "incomplete"},
		"damaged":    {nil, ";41111111111\x0011=30121010?\r", "line-error"},
		"next":       {driver.Settings{"prefix": "X"}, ";4111111111111111=30121010\rX5901", "no-prefix incomplete"},
		"licence":    {nil, "@\nANSI 636000", "personal"},
	} {
		dec, err := Serial().Open(driver.Attributes{}, c.s, tid.Rules{})
		if err != nil {
			t.Fatal(err)
		}
		var got readings
		driver.Feed(dec, driver.Read{At: at(0), Data: []byte(c.send)}, got.emit)
		driver.Feed(dec, driver.Read{At: at(9)}, got.emit)
		if codes := got.codes(); codes != c.want {
			t.Errorf("%s: got %q", name, codes)
		}
		if bytes.Contains(memory(dec.(*serialDecoder).framer), []byte("4111")) {
			t.Errorf("%s: the framer holds it", name)
		}
	}
}
