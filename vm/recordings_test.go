package vm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"posd/basket"
	"posd/drivers/driver"
	"posd/drivers/hid"
	"posd/drivers/recording"
	"posd/vm/emul"
)

// TestRecordings plays the recordings of every driver by emulated devices, which
// posd reads from their nodes: what comes out is what the unit tests say.
func TestRecordings(t *testing.T) {
	names := map[string]bool{}
	for _, rec := range readRecordings(t, "") {
		if rec.Transport == recording.USBFS {
			continue // no driver of the kernel's is between: see TestUSBFS
		}
		if rec.Transport == recording.TTY {
			names[driverOf(rec)+" on ttyACM"], names[driverOf(rec)+" on ttyUSB"] = true, true
		} else {
			names[driverOf(rec)+" on "+rec.Transport] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		t.Run(name, func(t *testing.T) {
			inGuest(t, func(g *guest) { g.playAll(name) })
		})
	}
}

// notPlayed says why a device cannot be made to send a recording; "" if it can.
func notPlayed(rec recording.Recording) string {
	for _, e := range rec.Entries {
		switch {
		case rec.Transport != recording.Evdev:
		case e.Event.Type == evSyn && e.Event.Code == synDropped:
			return "the kernel loses events when nobody reads them, and not when it is asked to: see TestKeysLost"
		case e.Event.Type == evLED:
			return "the lights are posd's own once it has grabbed a keyboard: see TestLights"
		}
	}
	return ""
}

// dropped reports whether the kernel keeps a report to itself: one that is shorter
// than the device's descriptor says, or that the descriptor does not have.
func dropped(t *testing.T, rec recording.Recording, e recording.Entry) bool {
	t.Helper()
	if rec.Transport != recording.HIDRaw || e.ToDevice {
		return false
	}
	d, err := hid.Parse(rec.Descriptor)
	if err != nil {
		t.Fatal(err)
	}
	id, data := d.Split(e.Data)
	length := d.Length(hid.Input, id)
	return length == 0 || len(data) < length
}

// playAll plays the recordings of a driver on a kind of node.
func (g *guest) playAll(name string) {
	driver, node, _ := strings.Cut(name, " on ")
	byRules := map[string]map[string]recording.Recording{}
	for name, rec := range readRecordings(g.t, driver) {
		if why := notPlayed(rec); why != "" {
			g.t.Logf("%s is not played: %s", name, why)
			continue
		}
		if rec.Transport != node && rec.Transport != recording.TTY {
			continue
		}
		rules := rulesOf(rec)
		if byRules[rules] == nil {
			byRules[rules] = map[string]recording.Recording{}
		}
		byRules[rules][name] = rec
	}
	sockets := make(chan int, emul.Ports)
	for n := range emul.Ports {
		sockets <- n
	}
	for rules, recs := range byRules {
		gears := map[string]*gear{}
		config := rules
		for name, rec := range recs {
			var err error
			if gears[name], err = recorded(rec, "R-"+name, node == "ttyUSB"); err != nil {
				g.t.Fatal(err)
			}
			config += deviceTable(name, driver, gears[name].id(), rec)
		}
		p := g.posdOf(config)
		g.t.Run("group", func(t *testing.T) {
			for name, rec := range recs {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					n := <-sockets
					defer func() { sockets <- n }()
					playOne(t, p, gears[name], n, name, rec)
				})
			}
		})
	}
}

// playOne plugs in the device of a recording, plays it, and compares.
func playOne(t *testing.T, p *posd, g *gear, socket int, name string, rec recording.Recording) {
	plug := g.plug(t, socket)
	pulled := false
	defer func() {
		if !pulled {
			plug.Pull()
		}
	}()
	p.state(t, name, "reading")
	want := expected(t, name, rec)
	defer func() {
		if got := p.read(name); !slices.Equal(got, want) {
			t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
	}()
	g.play(t, rec)
	p.await(t, name, len(want))
	pulled = true
	if err := plug.Pull(); err != nil {
		t.Fatal(err)
	}
	p.state(t, name, "missing")
}

// rulesOf gives the configuration of a shop with the rules that a recording sets,
// as driver.Replay has them.
func rulesOf(rec recording.Recording) string {
	get := func(key, otherwise string) string {
		if v, ok := rec.Settings[key]; ok {
			return v
		}
		return otherwise
	}
	return fmt.Sprintf("country = %q\npayment_cards = %s\n[basket]\nabandon_after = \"1h\"\nsame_item_window = \"0s\"\n[loyalty]\nissuer = %q\npatterns = [%s]\n",
		get("country", "US"), get("payment_cards", "true"), get("loyalty.issuer", "0001"), quoted(get("loyalty.patterns", "")))
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return "'" + s + "'"
}

// deviceTable is the device of a recording in the configuration.
func deviceTable(name, driver, id string, rec recording.Recording) string {
	s := fmt.Sprintf("[[device]]\nname = %q\ndriver = %q\nid = %q\n", name, driver, id)
	if rec.Line != "" {
		s += fmt.Sprintf("line = %q\n", rec.Line)
	}
	if rec.Transport == recording.USBFS {
		s += "transport = \"usbfs\"\n"
	}
	for key, value := range rec.Settings {
		if key != "country" && key != "payment_cards" && !strings.HasPrefix(key, "loyalty.") {
			s += fmt.Sprintf("%s = %q\n", key, value)
		}
	}
	return s
}

// expected gives what the unit tests' golden events say of a recording, in the
// lines of posd.read. What comes of a report that the kernel drops is left out.
func expected(t *testing.T, name string, rec recording.Recording) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(recordingsDir(), name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	lost := map[float64]bool{}
	for _, e := range rec.Entries {
		if dropped(t, rec, e) {
			lost[e.At.Seconds()] = true
		}
	}
	var lines []string
	for dec := json.NewDecoder(bytes.NewReader(text)); dec.More(); {
		var e driver.Event
		if err := dec.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if !lost[e.At] {
			lines = append(lines, expectedLine(e))
		}
	}
	return lines
}

func expectedLine(e driver.Event) string {
	switch {
	case e.Type == driver.Encrypted:
		return "fault " + e.Code // no lane opens it, so that the card was not read
	case e.Symbology != "" && e.Label == "":
		return "refused unreadable"
	case basket.Line{UPC: e.Label, Symbology: string(e.Symbology), GTIN: string(e.GTIN)}.PersonNumber():
		return labelled(e.Label[len(e.Label)-4:]) // which the lane takes for a shopper's, and for no item
	case e.Symbology != "":
		return scanned(e.Label, string(e.Symbology), string(e.GTIN), e.AddOn, e.Code)
	case e.Source != "":
		if e.Kind == "" { // of what is no shopper's number the lane tells nothing
			e.Last4 = ""
		}
		return swiped(e.Source, e.Tracks, e.Last4, e.Kind, e.Code)
	case e.Type == driver.Key:
		return "key " + e.Action
	}
	return "fault " + e.Code
}
