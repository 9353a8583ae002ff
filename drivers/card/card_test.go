package card

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"posd/drivers/driver"
	"posd/drivers/recording"
	"posd/msr"
	"posd/tid"
)

func all() []driver.Driver {
	return []driver.Driver{Serial(), Keyboard(), HIDMSR(), MagTek(), IDTECH()}
}

// recorded is a recording of a card reader's, and the driver that it is for.
type recorded struct {
	file string
	recording.Recording
	driver driver.Driver
}

func recordings(t testing.TB) (found []recorded) {
	t.Helper()
	files, err := filepath.Glob("../testdata/*.rec")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := recording.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		at := slices.IndexFunc(rec.More, func(h recording.Header) bool { return h.Key == "driver" })
		for _, d := range all() {
			if at >= 0 && rec.More[at].Value == d.Name {
				found = append(found, recorded{filepath.Base(file), rec, d})
			}
		}
	}
	if len(found) < 40 {
		t.Fatalf("%d recordings", len(found))
	}
	return found
}

func (r recorded) attributes() driver.Attributes {
	return driver.Attributes{Transport: driver.Transport(r.Transport), Vendor: r.Vendor, Product: r.Product, Descriptor: r.Descriptor}
}

func (r recorded) open(t testing.TB) driver.Decoder {
	t.Helper()
	known := driver.Settings(r.Settings).Known(r.driver)
	dec, err := r.driver.Open(r.attributes(), known, rules())
	if err != nil {
		t.Fatalf("%s: %v", r.file, err)
	}
	return dec
}

// reads gives copies: decoders wipe what they read.
func (r recorded) reads() (reads []driver.Read) {
	for _, e := range r.Entries {
		data := bytes.Clone(e.Data)
		if r.Transport == recording.Evdev {
			data = e.Event.Append(nil)
		}
		if !e.ToDevice {
			reads = append(reads, driver.Read{At: time.Unix(0, 0).Add(e.At), Data: data})
		}
	}
	return reads
}

func rules() tid.Rules {
	return tid.Rules{Payment: true, Country: "US", Issuer: "0042", Loyalty: []*regexp.Regexp{regexp.MustCompile("2900[0-9]{9}")}}
}

// The numbers of the recordings, and what else stands on their cards.
func secrets() []string {
	var parts []string
	for _, s := range []string{
		"4111111111111111", "5555555555554444", "378282246310005", "2900123456789", "6006491286999929", "6006491234567890", "636014123456789",
		"SHOPPER", "ANYTOWN", "MAIN ST",
	} {
		for i := range len(s) - 5 {
			parts = append(parts, s[i:i+6], hex.EncodeToString([]byte(s[i:i+6])), strings.Trim(fmt.Sprint([]byte(s[i:i+6])), "[]"))
		}
	}
	return parts
}

func shows(out string) string {
	for _, part := range secrets() {
		if strings.Contains(out, part) {
			return part
		}
	}
	return ""
}

// What a reading shows to whoever prints it, logs it or makes JSON of it is
// nothing of a card; and once it is decoded, nothing of it is left in the decoder
// or in what was read.
func TestNothingIsLeft(t *testing.T) {
	var kinds [3]int
	for _, r := range recordings(t) {
		dec := r.open(t)
		emit := func(got driver.Reading) {
			checkShown(t, r.file, got)
			switch {
			case got.Type == driver.Encrypted:
				kinds[0]++
			case !got.Swipe.TID.IsZero():
				kinds[1]++
			default:
				kinds[2]++
			}
			got.Swipe.Wipe()
		}
		for i, read := range r.reads() {
			driver.Feed(dec, read, emit)
			if len(bytes.Trim(read.Data, "\x00")) > 0 {
				t.Errorf("%s: read %d is not wiped", r.file, i)
			}
			if dec.Deadline().IsZero() {
				checkClear(t, r.file, reflect.ValueOf(dec))
			}
		}
		dec.Expire(time.Unix(1000, 0), emit)
		checkClear(t, r.file, reflect.ValueOf(dec))
	}
	if slices.Min(kinds[:]) < 10 {
		t.Errorf("encrypted, numbers, others: %v", kinds)
	}
}

func checkShown(t *testing.T, file string, r driver.Reading) {
	t.Helper()
	event := r.Event(time.Unix(0, 0))
	text, err := json.Marshal([]any{event, r.Swipe, r.Err})
	if err != nil {
		t.Fatal(err)
	}
	out := string(text)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
		out += fmt.Sprintf(verb, r) + fmt.Sprintf(verb, &r) + fmt.Sprintf(verb, []any{r, r.Swipe, r.Swipe.Encrypted, event, r.Err})
	}
	if part := shows(out); part != "" {
		t.Errorf("%s: %q is shown in %s", file, part, text)
	}
	if x := r.Swipe.Encrypted; x != nil {
		for _, s := range append(x.Tracks[:], x.MagnePrint, x.Session) {
			s.Use(func(b []byte) {
				if strings.Contains(strings.ToLower(out), hex.EncodeToString(b[:8])) {
					t.Errorf("%s: ciphertext is shown in %s", file, text)
				}
			})
		}
	}
}

// checkClear looks for bytes in the arrays of a decoder.
func checkClear(t *testing.T, file string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && !strings.HasPrefix(v.Type().Elem().PkgPath(), "regexp") {
			checkClear(t, file, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "hidMSR" && name != "descriptor" && name != "typist" && name != "Rules" && name != "last" {
				checkClear(t, file, v.Field(i))
			}
		}
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			if e := v.Index(i); e.Kind() != reflect.Uint8 {
				checkClear(t, file, e)
			} else if e.Uint() != 0 {
				t.Fatalf("%s: something is left in the decoder, at byte %d of %d", file, i, v.Len())
			}
		}
	}
}

// The check above would be worth nothing if it did not see what is left.
func TestLeftoversAreSeen(t *testing.T) {
	for _, r := range recordings(t) {
		if r.file != "msr-bank.rec" && r.file != "securemag-serial.rec" && r.file != "hidmsr-reports.rec" {
			continue
		}
		dec := r.open(t)
		reads := r.reads()
		driver.Feed(dec, reads[0], nil)
		if r.file == "hidmsr-reports.rec" {
			driver.Feed(dec, reads[1], nil)
			driver.Feed(dec, reads[2], nil)
		}
		left := false
		walk(reflect.ValueOf(dec).Elem(), func(b byte) { left = left || b != 0 })
		if !left {
			t.Errorf("%s: nothing is in the decoder in the middle of a card", r.file)
		}
	}
}

func walk(v reflect.Value, f func(byte)) {
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "last" {
				walk(v.Field(i), f)
			}
		}
	case v.Kind() == reflect.Array && v.Type().Elem().Kind() == reflect.Uint8:
		for i := range v.Len() {
			f(byte(v.Index(i).Uint()))
		}
	}
}

// A process that dies of a reading shows nothing of it.
func TestNoPanicShowsACard(t *testing.T) {
	files := []string{"msr-bank.rec", "magnesafe.rec", "securemag-original.rec", "keyboard-securemag.rec"}
	if name := os.Getenv("CARD_TEST_PANIC"); name != "" {
		for _, r := range recordings(t) {
			dec := r.open(t)
			for _, read := range r.reads() {
				if r.file == name {
					driver.Feed(dec, read, func(got driver.Reading) { panic(got) })
				}
			}
		}
	}
	for _, file := range files {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoPanicShowsACard$")
		cmd.Env = append(os.Environ(), "CARD_TEST_PANIC="+file, "GOTRACEBACK=system")
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("panic: ")) {
			t.Fatalf("%s: it did not panic (%v): %s", file, err, out)
		}
		if part := shows(string(out)); part != "" {
			t.Errorf("%s: the panic shows %q", file, part)
		}
	}
}

// Each recording's device is claimed by its driver, and by no other of this
// package where devices tell what they are; page 8E and the makers' own devices
// are adopted.
func TestClaims(t *testing.T) {
	for _, r := range recordings(t) {
		for _, d := range all() {
			a := r.attributes()
			if !d.Reads(a.Transport) {
				continue
			}
			serial := a.Transport == driver.TTY
			if got := d.Claim(a); got != (d.Name == r.driver.Name || serial) {
				t.Errorf("%s: %s claims it: %v", r.file, d.Name, got)
			}
			adopts := d.Adopt != nil && d.Adopt(a)
			if adopts != (d.Name == r.driver.Name && a.Transport == driver.HIDRaw) {
				t.Errorf("%s: %s adopts it: %v", r.file, d.Name, adopts)
			}
			a.Vendor = 0x1234
			if d.Adopt != nil && d.Adopt(a) != (d.Name == "hid-msr" && r.driver.Name == d.Name) {
				t.Errorf("%s of an unknown maker: %s adopts it", r.file, d.Name)
			}
		}
	}
	other := driver.Attributes{Transport: driver.Evdev, Keys: []uint64{1}}
	if Keyboard().Claim(other) {
		t.Error("a device without keys is claimed as a keyboard")
	}
}

// A reader of another maker with MagTek's report is read by MagTek's driver, if
// the configuration says so.
func TestMagTekReportOfOthers(t *testing.T) {
	for _, r := range recordings(t) {
		a := r.attributes()
		a.Vendor = 0x1234
		if got := MagTek().Claim(a); r.driver.Name == "magtek-msr" && !got {
			t.Errorf("%s of another maker is not claimed", r.file)
		}
		if r.file == "idtech-other.rec" && IDTECH().Claim(a) {
			t.Errorf("%s of another maker is claimed for ID TECH", r.file)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	at := func(desc string) driver.Attributes {
		b, err := hex.DecodeString(strings.Join(strings.Fields(desc), ""))
		if err != nil {
			t.Fatal(err)
		}
		return driver.Attributes{Transport: driver.HIDRaw, Vendor: idTech, Descriptor: b}
	}
	const sure = "06 00 FF 09 01 A1 01 75 08 09 20 09 21 09 22 09 28 09 29 09 2A 09 38 95 07 81 02 09 30 95 6E 81 02 09 31 81 02"
	for _, c := range []struct {
		d    driver.Driver
		a    driver.Attributes
		s    driver.Settings
		want string
	}{
		{HIDMSR(), driver.Attributes{}, nil, "no HID report descriptor"},
		{HIDMSR(), at("05"), nil, "beyond the end"},
		{HIDMSR(), at("05 01 09 06 A1 01 75 08 95 08 81 02 C0"), nil, "8E:01"},
		{HIDMSR(), at("05 8E 09 01 A1 01 75 08 95 01 09 11 81 02 C0"), nil, "8E:20 to 24"},
		{HIDMSR(), at("05 8E 09 01 A1 01 75 08 95 64 09 20 81 02 C0"), nil, "no lengths"},
		{HIDMSR(), at("05 8E 09 01 A1 01 75 08 96 01 04 09 21 81 02 C0"), nil, "1025 bytes"},
		{HIDMSR(), at("05 8E 09 01 A1 01 75 07 95 40 09 21 81 02 C0"), nil, "no bytes"},
		{HIDMSR(), at("05 8E 09 01 A1 01 75 04 95 01 09 11 81 02 75 08 95 40 09 21 81 02 C0"), nil, "no bytes"},
		{MagTek(), driver.Attributes{}, nil, "no HID report descriptor"},
		{MagTek(), at("06 00 FF 09 01 A1 01 75 08 95 08 09 20 B1 02 C0"), nil, "FF00:30"},
		{MagTek(), at(sure + " C0"), nil, "track 3"},
		{MagTek(), at(sure + " 85 02 09 32 81 02 C0"), nil, "track 3"},
		{IDTECH(), driver.Attributes{}, nil, "no HID report descriptor"},
		{IDTECH(), at(sure + " C0"), nil, "track 3"},
		{IDTECH(), at("06 00 FF 09 01 A1 01 75 08 96 F4 01 09 31 81 02 C0"), nil, "FF00:31 and 30"},
		{IDTECH(), driver.Attributes{Transport: driver.TTY}, driver.Settings{"cipher": "rot13"}, "cipher"},
		{Keyboard(), driver.Attributes{}, driver.Settings{"layout": "klingon"}, "layout"},
		{Keyboard(), driver.Attributes{}, driver.Settings{"lrc": "perhaps"}, "lrc"},
		{Keyboard(), driver.Attributes{}, driver.Settings{"gap": "soon"}, "gap"},
		{Keyboard(), driver.Attributes{}, driver.Settings{"cipher": "des"}, "cipher"},
		{Serial(), driver.Attributes{}, driver.Settings{"gap": "soon"}, "gap"},
	} {
		if _, err := c.d.Open(c.a, c.s, rules()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.d.Name, err, c.want)
		}
		if c.d.Reads(driver.HIDRaw) && c.a.Transport != driver.TTY && c.d.Claim(c.a) {
			t.Errorf("%s claims what it cannot open (%s)", c.d.Name, c.want)
		}
	}
}

func TestDriversAreDescribed(t *testing.T) {
	for _, d := range all() {
		if d.Doc == "" || d.Mode == "" || d.Beep == "" || d.Role != driver.MSR {
			t.Errorf("%s is not complete", d.Name)
		}
	}
}

// Each error of a track is one that UnifiedPOS counts.
func TestTracksSayWhatIsWrong(t *testing.T) {
	known := []string{msr.CodeStartSentinel, msr.CodeEndSentinel, msr.CodeParity, msr.CodeLRC, msr.CodeLength, msr.CodeReaderError}
	seen := map[string]bool{}
	for _, r := range recordings(t) {
		dec := r.open(t)
		emit := func(got driver.Reading) {
			for _, track := range got.Swipe.Tracks {
				if track.Status == msr.TrackError {
					seen[track.Code] = true
					if !slices.Contains(known, track.Code) {
						t.Errorf("%s: track %d is in error by %q", r.file, track.Number, track.Code)
					}
				}
			}
			got.Swipe.Wipe()
		}
		for _, read := range r.reads() {
			driver.Feed(dec, read, emit)
		}
		dec.Expire(time.Unix(1000, 0), emit)
	}
	if len(seen) < len(known) {
		t.Errorf("only %v came up", seen)
	}
}
