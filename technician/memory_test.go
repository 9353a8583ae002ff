package technician

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"posd/drivers"
	"posd/drivers/driver"
)

// hiddenBy is what the number that is looked for is kept under, so that the test
// does not find its own.
const hiddenBy = 0x5a

// inMemory counts how often a hidden text is in what this process can write.
func inMemory(t *testing.T, hidden []byte) (n int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	window := make([]byte, 1<<20)
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		var rights string
		if k, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); k != 3 || !strings.HasPrefix(rights, "rw") {
			continue
		}
		for ; from < to; from += uint64(len(window)) {
			m, _ := memory.ReadAt(window[:min(uint64(len(window)), to-from)], int64(from)) // what is not there holds nothing
			for i := range window[:m] {
				window[i] ^= hiddenBy
			}
			n += bytes.Count(window[:m], hidden)
			clear(window)
		}
	}
	return n
}

// Nothing of a swipe is left in memory when a technician's command has looked at
// it: while posd runs it does that for every card.
func TestNothingLeftInMemory(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would hide what is left
	hidden := []byte("4111111111111111=3012")
	for i := range hidden {
		hidden[i] ^= hiddenBy
	}
	swipe := func() *Burst {
		track := append(make([]byte, 0, 64), ';')
		for _, c := range hidden {
			track = append(track, c^hiddenBy)
		}
		track = append(track, "1010000012300?\r"...)
		s := drivers.Source{Role: driver.MSR, Driver: "serial-msr", Path: "/dev/ttyS0", Attributes: driver.Attributes{Transport: driver.TTY}}
		return &Burst{Source: s, Reads: []driver.Read{{At: time.Unix(1, 0), Data: track}}}
	}
	b := swipe()
	if inMemory(t, hidden) == 0 {
		t.Fatal("the track itself is not found")
	}
	b.wipe()
	before := inMemory(t, hidden)
	for _, look := range []func(*Burst){
		func(b *Burst) { heard(b, rules()) },
		(&recorder{o: RecordOptions{Rules: rules()}, w: io.Discard}).take,
		(&recorder{o: RecordOptions{Rules: rules(), TestCards: true}, w: io.Discard}).take,
	} {
		b := swipe()
		look(b)
		b.wipe()
	}
	if n := inMemory(t, hidden); n > before {
		t.Errorf("the track is there %d times", n-before)
	}
}
