package technician

import (
	"math/bits"
	"testing"
	"time"

	"posd/drivers"
	"posd/drivers/driver"
	"posd/drivers/keyboard"
)

// shown fails if a person would see more of a burst than four digits.
func shown(t *testing.T, what string, b *Burst) {
	t.Helper()
	h := heard(b, rules())
	if len(h.Made) == 0 {
		t.Errorf("%s: no driver looked at it", what)
	}
	for _, m := range h.Made {
		for _, e := range m.Events {
			if e.Label != "" || e.Data != "" || e.DataBase64 != "" || e.GTIN != "" || len(e.Last4) > 4 {
				t.Errorf("%s: %s shows %q, %q, %q", what, m.Driver, e.Label, e.Data, e.DataBase64)
			}
		}
	}
}

// A card at a reader that nobody has configured shows nothing of its number: not
// on a keyboard of another layout, nor on a line of another parity, either.
func TestIdentifyShowsNoCard(t *testing.T) {
	const card = "4539578763621486"
	for _, text := range []string{card + "\r", ";" + card + "=3012?\r", "B" + card + "X\r"} {
		for _, layout := range keyboard.Layouts() {
			events, err := layout.Keys([]byte(text), keyboard.Typing{})
			if err != nil {
				t.Fatal(err)
			}
			b := &Burst{Source: drivers.Source{Path: "/dev/input/event3", Attributes: driver.Attributes{Transport: driver.Evdev, Keys: []uint64{^uint64(0), ^uint64(0)}}}}
			for _, e := range events {
				b.Reads = append(b.Reads, driver.Read{At: time.Unix(0, 0), Data: e.Append(nil)})
			}
			shown(t, layout.String()+" "+text[:1], b)
		}
		b := &Burst{Source: drivers.Source{Path: "/dev/ttyS1", Attributes: driver.Attributes{Transport: driver.TTY}}}
		for _, c := range []byte(text) {
			b.Reads = append(b.Reads, driver.Read{At: time.Unix(0, 0), Data: []byte{c | byte(bits.OnesCount8(c)%2)<<7}})
		}
		shown(t, "7E1 read as 8N1, "+text[:1], b)
	}
}
