package technician

import (
	"testing"
	"time"

	"posd/drivers"
	"posd/drivers/driver"
	"posd/drivers/keyboard"
	"posd/drivers/recording"
)

// A keyboard tells its lights when it is opened, which nobody pressed.
func TestLightsAreNothing(t *testing.T) {
	var taken []int
	c := collector{open: map[string]*Burst{}, cut: map[string]bool{}, more: make(chan struct{}, 1)}
	c.take = func(b *Burst) { taken = append(taken, len(b.Reads)) }
	s := drivers.Source{Role: driver.Scanner, Path: "/dev/input/event0", Attributes: driver.Attributes{Transport: driver.Evdev}}
	light := recording.Event{Type: keyboard.EvLED, Code: 0, Value: 1}
	key := recording.Event{Type: keyboard.EvKey, Code: keyboard.Key9, Value: 1}
	c.hear(s, driver.Read{At: time.Unix(0, 0), Data: light.Append(nil)})
	c.flush(time.Unix(10, 0))
	c.hear(s, driver.Read{At: time.Unix(20, 0), Data: light.Append(nil)})
	c.hear(s, driver.Read{At: time.Unix(20, 0), Data: key.Append(nil)})
	c.flush(time.Unix(30, 0))
	if len(taken) != 1 || taken[0] != 2 {
		t.Errorf("taken: %v", taken)
	}
}
