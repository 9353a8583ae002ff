package drivers

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"posd/drivers/driver"
	"posd/drivers/recording"
)

var update = flag.Bool("update", false, "write the golden events of testdata/*.rec anew")

func recordings(t testing.TB) map[string]recording.Recording {
	t.Helper()
	files, err := filepath.Glob("testdata/*.rec")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	all := map[string]recording.Recording{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if all[file], err = recording.Parse(text); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return all
}

// driverOf gives the driver that a recording is for.
func driverOf(t testing.TB, rec recording.Recording) string {
	t.Helper()
	for _, h := range rec.More {
		if h.Key == "driver" {
			return h.Value
		}
	}
	t.Fatal("the recording does not name its driver")
	return ""
}

func lines(t testing.TB, events []driver.Event) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, e := range events {
		if err := enc.Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	for file, rec := range recordings(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			o, err := Replay(rec, driverOf(t, rec))
			if err != nil {
				t.Fatal(err)
			}
			if rec.Source == "" {
				t.Error("a recording says where it comes from")
			}
			golden := strings.TrimSuffix(file, ".rec") + ".json"
			if *update {
				if err := os.WriteFile(golden, lines(t, o.Events), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got := lines(t, o.Events); !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if sent := commandsOf(rec, o); len(sent)+len(o.Commands) > 0 && !reflect.DeepEqual(o.Commands, sent) {
				t.Errorf("the driver says %v, and the recording %v", o.Commands, sent)
			}
			if strings.HasSuffix(file, "card.rec") {
				return // auto knows better
			}
			if auto, err := Replay(rec, Auto); err != nil || !reflect.DeepEqual(auto, o) {
				t.Errorf("auto: %v\n%s", err, lines(t, auto.Events))
			}
		})
	}
}

// commandsOf gives what the host said in a recording. Where a driver says nothing
// to a line, that is signals, which no driver gives by itself.
func commandsOf(rec recording.Recording, o Outcome) (sent []driver.Command) {
	for _, e := range rec.Entries {
		if e.ToDevice && (rec.Transport != recording.TTY || o.Commands != nil) {
			sent = append(sent, driver.Command{Feature: e.Feature, Data: e.Data})
		}
	}
	return sent
}

// How reads are cut must not matter, but for the times of what is cut.
func TestGoldenByteByByte(t *testing.T) {
	for file, rec := range recordings(t) {
		if rec.Transport != recording.TTY {
			continue
		}
		want, err := Replay(rec, driverOf(t, rec))
		if err != nil {
			t.Fatal(err)
		}
		cut := rec
		cut.Entries = nil
		for _, e := range rec.Entries {
			for i := range e.Data {
				cut.Entries = append(cut.Entries, recording.Entry{At: e.At, ToDevice: e.ToDevice, Data: e.Data[i : i+1]})
			}
		}
		got, err := Replay(cut, driverOf(t, rec))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%s", file, err, lines(t, got.Events))
		}
	}
}

// Numbers in the recordings of card readers and keypads never reach an event.
func TestNoDigitsInEvents(t *testing.T) {
	for file, rec := range recordings(t) {
		if d, err := Find(driverOf(t, rec)); err != nil || d.Role == driver.Scanner && !strings.Contains(file, "card") {
			continue
		}
		o, err := Replay(rec, driverOf(t, rec))
		if err != nil {
			t.Fatal(err)
		}
		out := string(lines(t, o.Events))
		for _, number := range []string{"41111", "37828", "55501", "55555", "60064", "29001", "12345678", "SHOPPER"} {
			if strings.Contains(out, number) {
				t.Errorf("%s: %s is in\n%s", file, number, out)
			}
		}
	}
}

func TestReplayErrors(t *testing.T) {
	read := func(text string) recording.Recording {
		rec, err := recording.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	const descriptor = "05 8C 09 02 A1 01 09 12 A1 02 75 08 95 38 09 FE 81 02 C0 C0"
	for _, c := range []struct{ text, driver, say string }{
		{"# transport: tty\n0 < 41", "serial-printer", "there are serial-msr"},
		{"# transport: hidraw\n0 < 41", "serial-scanner", "recording of hidraw"},
		{"0 < 41", Auto, "transport"},
		{"# transport: hidraw\n0 < 41", Auto, "no driver claims"},
		{"# transport: hidraw\n0 < 41", "hid-pos-scanner", "no HID report descriptor"},
		{"# transport: hidraw\n# descriptor: 05\n0 < 41", "hid-pos-scanner", "beyond the end"},
		{"# transport: hidraw\n# descriptor: 05 01 09 06 A1 01 75 08 95 08 81 02 C0\n0 < 41", "hid-pos-scanner", "no bar code scanner"},
		{"# transport: hidraw\n# descriptor: 05 8C 09 02 A1 01 75 08 95 08 81 02 C0\n0 < 41", "hid-pos-scanner", "no decoded data"},
		{"# transport: hidraw\n# descriptor: 05 8C 09 02 A1 01 09 12 A1 02 75 03 95 01 81 02 75 08 09 FE 81 02 C0 C0\n0 < 41", "hid-pos-scanner", "in bytes"},
		{"# transport: hidraw\n# descriptor: 05 01 09 06 A1 01 75 08 95 08 81 02 C0\n0 < 41", Auto, "no driver claims"},
		{"# transport: hidraw\n# set: ids=aim\n# descriptor: " + descriptor + "\n0 < 41", "hid-pos-scanner", "no setting"},
		{"# transport: tty\n# set: colour=red\n0 < 41", "serial-scanner", `no setting "colour"`},
		{"# transport: tty\n# set: close-key=A close_key=B\n0 < 41", "serial-keypad", "comes twice"},
		{"# transport: tty\n# set: ids=epson\n0 < 41", "serial-scanner", "ids"},
		{"# transport: tty\n# set: terminator=END\n0 < 41", "serial-scanner", "terminator"},
		{"# transport: tty\n# set: prefix=0x0\n0 < 41", "serial-scanner", "prefix"},
		{"# transport: tty\n# set: gap=soon\n0 < 41", "serial-scanner", "gap"},
		{"# transport: tty\n# set: check_digit_absent=maybe\n0 < 41", "serial-scanner", "check_digit_absent"},
		{"# transport: tty\n# set: number_system_absent=maybe\n0 < 41", "serial-scanner", "number_system_absent"},
		{"# transport: tty\n# set: prefer=UPCA\n0 < 41", "serial-scanner", "prefer"},
		{"# transport: tty\n# set: lrc=maybe\n0 < 41", "serial-msr", "lrc"},
		{"# transport: tty\n# set: gap=-1s\n0 < 41", "serial-msr", "gap"},
		{"# transport: tty\n# set: timeout=0s\n0 < 41", "serial-keypad", "timeout"},
		{"# transport: tty\n# set: close_key=7\n0 < 41", "serial-keypad", "close key"},
		{"# transport: tty\n# set: close_key=End\n0 < 41", "serial-keypad", "close_key"},
		{"# transport: tty\n# set: country=ZZ\n0 < 41", "serial-keypad", "country"},
		{"# transport: tty\n# set: payment_cards=some\n0 < 41", "serial-msr", "payment_cards"},
		{"# transport: tty\n# set: loyalty.issuer=1\n0 < 41", "serial-msr", "loyalty.issuer"},
		{"# transport: tty\n# set: loyalty.patterns=[\n0 < 41", "serial-msr", "loyalty.patterns"},
	} {
		if _, err := Replay(read(c.text), c.driver); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s with %q: got %v, want %q", c.driver, c.text, err, c.say)
		}
	}
}

func TestSettingsAreSpelledEitherWay(t *testing.T) {
	rec, err := recording.Parse([]byte("# set: close-key=0x23 TIMEOUT=5000\n0 < 23"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := Replay(rec, "serial-keypad")
	if err != nil || len(o.Events) != 1 || o.Events[0].Action != "close" {
		t.Errorf("got %+v, %v", o, err)
	}
	driver.Settings(rec.Settings).Set("close_key", "A")
	if o, err = Replay(rec, "serial-keypad"); err != nil || len(o.Events) != 0 {
		t.Errorf("set anew: got %+v, %v", o, err)
	}
}

// Every setting that the table names is one that its driver reads, and the
// table names all.
func TestTable(t *testing.T) {
	names := map[string]bool{}
	for _, d := range Table() {
		if names[d.Name] || d.Doc == "" || d.Mode == "" || d.Beep == "" || !slices.Contains(driver.Roles(), d.Role) || d.Claim == nil || d.Open == nil {
			t.Errorf("row %q is not complete, or comes twice", d.Name)
		}
		names[d.Name] = true
		for _, s := range d.Settings {
			if s.Key != strings.ToLower(s.Key) || strings.Contains(s.Key, "-") || s.Doc == "" || s.Values == "" {
				t.Errorf("%s: setting %q is not complete", d.Name, s.Key)
			}
		}
	}
	if got := slices.Sorted(maps.Keys(names)); !slices.Equal(got, []string{"hid-msr", "hid-pos-scanner", "ibm-scanner", "idtech-msr", "keyboard-keypad", "keyboard-msr", "keyboard-scanner", "magtek-msr", "serial-keypad", "serial-msr", "serial-scanner"}) {
		t.Errorf("drivers: %v", got)
	}
}

// FuzzReplay feeds bytes in pieces, some time apart, to every driver on every
// transport: no crash, and nothing but events and commands comes of it.
func FuzzReplay(f *testing.F) {
	for _, rec := range recordings(f) {
		var all []byte
		for _, r := range readsOf(rec) {
			all = append(all, r.Data...)
		}
		f.Add(all[:min(len(all), 2048)], uint8(8), rec.Descriptor)
		f.Add(all[:min(len(all), 2048)], uint8(64), rec.Descriptor)
	}
	f.Fuzz(func(t *testing.T, data []byte, chunk uint8, descriptor []byte) {
		if len(data) == 0 {
			return
		}
		for _, transport := range []driver.Transport{driver.TTY, driver.HIDRaw, driver.Evdev, driver.USBFS} {
			described := transport == driver.HIDRaw || transport == driver.USBFS
			rec := recording.Recording{Transport: string(transport), Settings: map[string]string{}, Entries: pieces(transport, data, chunk)}
			if described {
				rec.Descriptor = descriptor
			}
			for _, d := range Table() {
				if !d.Reads(transport) {
					continue
				}
				o, err := Replay(rec, d.Name)
				if err != nil && !described {
					t.Fatal(err)
				}
				for _, e := range o.Events {
					if !slices.Contains([]driver.Type{driver.Scan, driver.Swipe, driver.Encrypted, driver.Key, driver.Error}, e.Type) {
						t.Fatalf("%s: %+v is no event", d.Name, e)
					}
				}
				for _, c := range o.Commands {
					if len(c.Data) == 0 {
						t.Fatalf("%s says nothing: %+v", d.Name, c)
					}
				}
			}
		}
	})
}

// pieces cuts bytes into reads, as many milliseconds apart as each is long.
func pieces(transport driver.Transport, data []byte, chunk uint8) (all []recording.Entry) {
	size := max(1, int(chunk))
	after := func(n int) time.Duration { return time.Duration(n*size) * time.Millisecond }
	if transport == driver.Evdev {
		for e := range recording.Events(data) {
			all = append(all, recording.Entry{At: after(len(all)), Event: e})
		}
		return all
	}
	for piece := range slices.Chunk(data, size) {
		all = append(all, recording.Entry{At: after(len(all)), Data: piece})
	}
	return all
}
