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
		"upca", "aim", "keypad-phone", "hidpos",
		"msr-bank", "hidmsr", "magtek", "magnesafe", "idtech", "securemag-enhanced", "securemag-serial", "keyboard-msr", "keyboard-magnesafe",
	} {
		rec := recordings(b)["testdata/"+file+".rec"]
		d, err := Find(driverOf(b, rec))
		if err != nil {
			b.Fatal(err)
		}
		dec, err := d.Open(attributesOf(rec), driver.Settings(rec.Settings).Known(d), rules())
		if err != nil {
			b.Fatal(err)
		}
		longest := 0
		for i, e := range rec.Entries {
			if rec.Transport == recording.Evdev {
				rec.Entries[i].Data = e.Event.Append(nil)
			}
			longest = max(longest, len(rec.Entries[i].Data))
		}
		buf := make([]byte, longest) // decoders clear what they read
		b.Run(file, func(b *testing.B) {
			b.ReportAllocs()
			readings := 0
			count := func(driver.Reading) { readings++ }
			began := origin()
			for b.Loop() {
				for _, e := range rec.Entries {
					n := copy(buf, e.Data)
					driver.Feed(dec, driver.Read{At: began.Add(e.At), Data: buf[:n]}, count)
				}
				began = began.Add(time.Hour)
			}
			b.ReportMetric(float64(readings)/float64(b.N), "readings/op")
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(readings), "ns/reading")
		})
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
