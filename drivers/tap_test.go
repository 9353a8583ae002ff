package drivers

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"posd/drivers/driver"
)

// bench is a session whose reads the test gives, without a node.
type bench struct {
	*session
	t    *testing.T
	now  time.Time
	sold []string // the readings that went on
}

func newBench(t *testing.T, c DeviceConfig) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Now()}
	c.Name, c.Port = "front", "/dev/ttyS0"
	r, err := c.resolve(rules())
	if err != nil {
		t.Fatal(err)
	}
	sink := func(r driver.Reading) bool {
		e := r.Event(b.now)
		b.sold = append(b.sold, e.Label+e.Code+e.Action)
		return true
	}
	d := newDevice(r, &environment{Config: Config{Sink: sink, Rules: rules(), Log: slog.New(slog.DiscardHandler)}}, newStatistics(b.now))
	if b.session, err = d.begin(nil, driver.Attributes{Transport: driver.TTY}); err != nil {
		t.Fatal(err)
	}
	return b
}

// reads gives what the device sends, a tenth of a second after what came before.
func (b *bench) reads(texts ...string) {
	for _, text := range texts {
		b.now = b.now.Add(100 * time.Millisecond)
		b.feed(driver.Read{At: b.now, Data: []byte(text)})
	}
}

func (b *bench) listen(divert bool) (stop func()) {
	b.t.Helper()
	stop, err := b.attach(&tap{Divert: divert, Read: func(driver.Read) {}})
	if err != nil {
		b.t.Fatal(err)
	}
	return stop
}

func (b *bench) wants(sold string) {
	b.t.Helper()
	if got := strings.Join(b.sold, " "); got != sold {
		b.t.Errorf("got %q, want %q", got, sold)
	}
}

// What somebody heard the beginning of makes no sale when they have ended, and
// what comes then does.
func TestDivertedToTheEnd(t *testing.T) {
	for name, c := range map[string]struct {
		heard, then []string
		want        string
	}{
		"between two labels":      {[]string{"036000291452\r"}, []string{"5901234123457\r"}, "5901234123457"},
		"LF in a read of its own": {[]string{"036000291452\r", "\n"}, []string{"5901234123457\r"}, "5901234123457"},
		"in a label":              {[]string{"036000"}, []string{"291452\r", "5901234123457\r"}, "5901234123457"},
		"in the second":           {[]string{"036000291452\r5901234"}, []string{"123457\r", "4006381333931\r"}, "4006381333931"},
		"the rest with another":   {[]string{"036000"}, []string{"291452\r5901234123457\r"}, "5901234123457"},
		"the rest never came":     {[]string{"036000"}, append(make([]string, 30), "5901234123457\r"), "5901234123457"},
	} {
		for _, recorded := range []bool{false, true} {
			b := newBench(t, DeviceConfig{Role: driver.Scanner})
			stop := b.listen(true)
			b.reads(c.heard...)
			stop()
			if recorded {
				b.listen(false)
			}
			b.reads(c.then...)
			if b.wants(c.want); t.Failed() {
				t.Fatal(name)
			}
		}
	}
}

// A number that somebody heard the first digits of is nobody's, however slowly
// it is keyed in.
func TestDivertedKeys(t *testing.T) {
	b := newBench(t, DeviceConfig{Role: driver.Keypad})
	stop := b.listen(true)
	b.reads("2", "1", "2", "5", "5")
	stop()
	b.now = b.now.Add(2 * time.Second)
	b.reads("5", "0", "1", "0", "0", "\r")
	b.wants("")
}

// Half a label is none, also where silence ends labels.
func TestCutOff(t *testing.T) {
	for _, set := range []driver.Settings{{"terminator": "CR"}, {"terminator": "none"}, {"terminator": "CR", "gap": "200ms"}} {
		b := newBench(t, DeviceConfig{Role: driver.Scanner, Settings: set})
		b.reads("0360002")
		b.cutOff()
		b.wants("incomplete")
	}
}

// When listening ends, devices sell again though a node that was overheard hangs.
func TestListeningEnds(t *testing.T) {
	m := newManager(t, func(driver.Reading) bool { return true }, DeviceConfig{Name: "front", Role: driver.Scanner, Port: "/dev/ttyNONE"})
	l := &listening{Manager: m}
	if _, err := l.begin(""); err != nil {
		t.Fatal(err)
	}
	hangs, ended := make(chan struct{}), make(chan struct{})
	l.wg.Go(func() { <-hangs })
	go func() { l.stop(); close(ended) }()
	eventually(t, "nobody listens", func() bool { return m.devices[0].tap.Load() == nil })
	close(hangs)
	<-ended
}
