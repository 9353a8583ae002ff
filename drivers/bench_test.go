package drivers

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"posd/drivers/driver"
	"posd/drivers/recording"
	"posd/scanner"
	"posd/sim"
)

// What a scanner takes for a label, and a reader for a swipe, once its bytes
// are there.
func BenchmarkDecode(b *testing.B) {
	for _, file := range []string{
		"upca", "aim", "preset-datalogic", "hidpos", "hidpos-honeywell", "ibm-handheld", "ibm-tabletop", "wedge", "wedge-alt",
		"keypad-phone", "keypad-pinpad", "pad-phone",
		"msr-bank", "hidmsr", "magtek", "magnesafe", "idtech", "securemag-enhanced", "securemag-serial", "keyboard-msr", "keyboard-magnesafe",
	} {
		again := loop(b, file)
		b.Run(file, func(b *testing.B) {
			b.ReportAllocs()
			readings := 0
			for b.Loop() {
				readings += again()
			}
			b.ReportMetric(float64(readings)/float64(b.N), "readings/op")
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(readings), "ns/reading")
		})
	}
}

// loop gives the function that plays a recording to its decoder once more, and
// tells how many readings came of it.
func loop(tb testing.TB, file string) func() int {
	rec := recordings(tb)["testdata/"+file+".rec"]
	d, err := Find(driverOf(tb, rec))
	if err != nil {
		tb.Fatal(err)
	}
	dec, err := d.Open(attributesOf(rec), driver.Settings(rec.Settings).Known(d), rules())
	if err != nil {
		tb.Fatal(err)
	}
	reads := readsOf(rec)
	longest := 0
	for _, r := range reads {
		longest = max(longest, len(r.Data))
	}
	buf := make([]byte, longest) // decoders clear what they read
	readings, passed := 0, time.Duration(0)
	count := func(driver.Reading) { readings++ }
	return func() int {
		readings = 0
		for _, r := range reads {
			n := copy(buf, r.Data)
			driver.Feed(dec, driver.Read{At: r.At.Add(passed), Data: buf[:n]}, count)
		}
		passed += time.Minute
		return readings
	}
}

// A scan takes two allocations, whatever the driver; what is no scan, none.
func TestAllocations(t *testing.T) {
	for file, most := range map[string]float64{
		"upca": 2, "aim": 2, "crlf": 2, "datalogic": 2, "hidpos": 2, "hidpos-honeywell": 2, "hidpos-long": 2, "hidpos-joined": 2, "hidpos-menu": 2,
		"ibm-handheld": 2, "ibm-tabletop": 2, "wedge": 2, "wedge-de": 2, "wedge-alt": 2, "wedge-gap": 2,
	} {
		again := loop(t, file)
		again() // which the next one ends
		readings := again()
		if got := testing.AllocsPerRun(10, func() { again() }) / float64(readings); got > most {
			t.Errorf("%s: %g allocations a reading", file, got)
		}
	}
}

// Reads of which nothing comes, and those of no bytes, cost no memory.
func TestIdleAllocatesNothing(t *testing.T) {
	read := map[driver.Transport][]byte{
		driver.TTY: {'1'}, driver.HIDRaw: {9, 4, 0x10, 3, 0}, driver.USBFS: {4, 0x10, 3, 0}, driver.Evdev: recording.Event{Type: 1, Code: 2, Value: 1}.Append(nil),
	}
	for _, file := range []string{"upca", "ncr-bcc", "hidpos-honeywell", "ibm-usbfs", "wedge", "keypad-phone", "keypad-pinpad", "pad-phone"} {
		rec := recordings(t)["testdata/"+file+".rec"]
		d, err := Find(driverOf(t, rec))
		if err != nil {
			t.Fatal(err)
		}
		dec, err := d.Open(attributesOf(rec), driver.Settings(rec.Settings).Known(d), rules())
		if err != nil {
			t.Fatal(err)
		}
		now, n := origin(), 0
		data := bytes.Clone(read[driver.Transport(rec.Transport)])
		ignore := func(driver.Reading) { n++ }
		feed := func() {
			now = now.Add(time.Millisecond)
			driver.Feed(dec, driver.Read{At: now}, ignore)
			driver.Feed(dec, driver.Read{At: now, Data: data}, ignore)
			if talker, ok := dec.(driver.Talker); ok {
				talker.Commands()
			}
		}
		feed()
		n = 0 // what is wrong is told once
		if got := testing.AllocsPerRun(10, feed); got > 0 || n > 0 {
			t.Errorf("%s: %g allocations, %d readings", file, got, n)
		}
	}
}

// The time from the last byte that a scanner sends to the decoded scan, against
// a bare read loop on a pty of the same kind, taken in turn.
func BenchmarkPTY(b *testing.B) {
	s, err := sim.Start(sim.Options{Dir: b.TempDir(), Devices: []string{sim.Scanner, sim.MSR}, Fast: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	scans := make(chan scanner.Scan, 1)
	m := newManager(b, func(r driver.Reading) bool { scans <- r.Scan; return true },
		DeviceConfig{Name: "front", Role: driver.Scanner, Port: s.Path(sim.Scanner)})
	go m.Run(b.Context())
	<-m.Settled()
	frames := make(chan int, 1)
	go bareLoop(s.Path(sim.MSR), frames)

	label := []byte("036000291452\r")
	var ours, bare time.Duration
	buf := make([]byte, len(label)) // Send wipes
	for b.Loop() {
		copy(buf, label)
		began := time.Now()
		s.Send(b.Context(), sim.Scanner, buf)
		<-scans
		ours += time.Since(began)
		copy(buf, label)
		began = time.Now()
		s.Send(b.Context(), sim.MSR, buf)
		<-frames
		bare += time.Since(began)
	}
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N), "ns/scan")
	b.ReportMetric(float64(bare.Nanoseconds())/float64(b.N), "ns/bare")
	b.ReportMetric(float64(ours)/float64(bare), "ratio")
}

// bareLoop blocks in read, and does nothing with what it gets.
func bareLoop(path string, frames chan<- int) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buf)
		if err != nil || n == 0 {
			return
		}
		if bytes.IndexByte(buf[:n], '\r') >= 0 {
			frames <- n
		}
	}
}
