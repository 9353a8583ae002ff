package hotplug

import (
	"strings"
	"testing"
)

func TestParseID(t *testing.T) {
	for text, want := range map[string]ID{
		"0c2e:0b61":                   {0x0c2e, 0x0b61, "", ""},
		"0C2E:0B61:S1234":             {0x0c2e, 0x0b61, "S1234", ""},
		"0c2e:0b61@1-1.2":             {0x0c2e, 0x0b61, "", "1-1.2"},
		"0c2e:0b61:S1234@1-1.2":       {0x0c2e, 0x0b61, "S1234", "1-1.2"},
		"0c2e:0a01:aa:bb:cc:dd:ee:ff": {0x0c2e, 0x0a01, "aa:bb:cc:dd:ee:ff", ""},
		"0801:0002:B28%20F%25%40;x":   {0x0801, 0x0002, "B28 F%@;x", ""},
		"0000:0000@pnp0/00:05/ttyS0":  {0, 0, "", "pnp0/00:05/ttyS0"},
	} {
		got, err := ParseID(text)
		if got != want || (err == nil) == want.IsZero() {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

func TestParseIDErrors(t *testing.T) {
	for text, say := range map[string]string{
		"":                     "write vendor:product",
		"0c2e":                 "write vendor:product",
		"c2e:0b61:S1":          "write vendor:product",
		"/dev/hidraw0":         "write vendor:product",
		"0x0c2e:0x0b61":        "write vendor:product",
		"+c2e:0b61":            `vendor: "+c2e" is not four`,
		"0c2e:0b6g":            `product: "0b6g" is not four`,
		"0c2e:0b612":           "four digits",
		"0c2e:0b61 ":           "four digits",
		"0c2e:0b61:":           "serial number: it is empty",
		"0c2e:0b61:@1-1":       "serial number: it is empty",
		"0c2e:0b61@":           "port: it is empty",
		"0c2e:0b61@1-1@2":      "second @",
		"0c2e:0b61:a%4":        "two hexadecimal digits",
		"0c2e:0b61:a%":         "two hexadecimal digits",
		"0c2e:0b61:a%zz":       "two hexadecimal digits",
		"0c2e:0b61:a%+1":       "two hexadecimal digits",
		"0c2e:0b61:\u00e9":     "0xc3",
		"0c2e:0b61:a%00":       "0x00",
		"0c2e:0b61:0000000000": "by its port",
		"0c2e:0b61:%20S1":      "blanks",
		"0c2e:0b61:none":       "by its port",
	} {
		if got, err := ParseID(text); err == nil || !strings.Contains(err.Error(), say) || !got.IsZero() {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

func TestIDString(t *testing.T) {
	for want, id := range map[string]ID{
		"0000:0000":             {},
		"0c2e:0b61:S1234":       {0x0c2e, 0x0b61, "S1234", ""},
		"0c2e:0b61@1-1.2":       {0x0c2e, 0x0b61, "", "1-1.2"},
		"0c2e:0b61:S1234@1-1.2": {0x0c2e, 0x0b61, "S1234", "1-1.2"},
		"0c2e:0b61:a%20%40%25:%22%5C%24%28%3B@usb%201": {0x0c2e, 0x0b61, `a @%:"\$(;`, "usb 1"},
	} {
		if got := id.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestMatches(t *testing.T) {
	n := Node{Vendor: 0x0c2e, Product: 0x0b61, Serial: "S1", PortPath: "1-1"}
	for text, want := range map[string]bool{
		"0c2e:0b61": true, "0c2e:0b61:S1": true, "0c2e:0b61@1-1": true, "0c2e:0b61:S1@1-1": true,
		"0c2e:0b62": false, "0c2f:0b61": false, "0c2e:0b61:S2": false, "0c2e:0b61:s1": false,
		"0c2e:0b61@1-2": false, "0c2e:0b61:S1@1-2": false, "0c2e:0b61:S2@1-1": false,
	} {
		if id, err := ParseID(text); err != nil || id.Matches(n) != want {
			t.Errorf("%s: %t, %v", text, !want, err)
		}
	}
	if n.ID().String() != "0c2e:0b61:S1" || n.IDAtPort().String() != "0c2e:0b61:S1@1-1" {
		t.Errorf("got %s, %s", n.ID(), n.IDAtPort())
	}
}

func TestCleanSerial(t *testing.T) {
	for s, want := range map[string]string{
		"S1234": "S1234", " 15024B2A6D \n": "15024B2A6D", "A B,C": "A B,C", "1002": "1002", "5678": "5678", "10": "10", "12": "12", "012": "012", "test-7": "test-7",
		"": "", "0": "", "1": "", "0000000000": "", "0000-0000": "", "00:00:00:00:00:00": "", "FFFFFFFF": "", "xxxx": "", "....": "", "?": "",
		"0123456789": "", "123456": "", "1234567890": "", "0123456789ABCDEF": "", "0001": "",
		"Not Specified": "", "To Be Filled By O.E.M.": "", "N/A": "", "SerialNumber": "", "Serial Number": "", "none": "",
		"\xff\xfe": "", "a\x01": "", "\u00e9\u00e9": "", "敲瑸": "", "a\x7f": "",
	} {
		if got := cleanSerial(s); got != want {
			t.Errorf("%q: got %q", s, got)
		}
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"0c2e:0b61:S%3A1@1-1.2", "0c2e:0b61", "0c2e:0b61@usb-0000%3A00", "0801:0002:B28 F%25;'", "0c2e:0b61:@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			return
		}
		text := id.String()
		if again, err := ParseID(text); err != nil || again != id || again.String() != text {
			t.Errorf("%q: %+v, then %+v, %v", s, id, again, err)
		}
		if strings.ContainsAny(text, " '\"\\$`;&|<>()*?#!\n") {
			t.Errorf("%s needs quotes", text)
		}
	})
}
