package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"posd/cli"
	"posd/config"
	"posd/drivers/recording"
	"posd/lane/api"
	"posd/sim"
	"posd/technician"
)

// shopFloor is a lane that runs in this process, with devices that are played.
type shopFloor struct {
	*testing.T
	sim    *sim.Sim
	config string
	client *api.Client
	stop   func() // stops posd
}

// newShopFloor plays devices; run says whether posd runs.
func newShopFloor(t *testing.T, running bool) *shopFloor {
	t.Helper()
	dir := t.TempDir()
	s, err := sim.Start(sim.Options{Dir: filepath.Join(dir, "dev"), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f := &shopFloor{T: t, sim: s, config: filepath.Join(dir, "posd.toml")}
	text := "country = \"US\"\npayment_cards = true\ndiscover = false\nstate_dir = \"" + dir + "/state\"\napi.socket = \"" + dir + "/posd.sock\"\n" +
		"[[device]]\nname = \"front\"\nrole = \"scanner\"\nport = \"" + s.Path(sim.Scanner) + "\"\n" +
		"[[device]]\nname = \"card\"\nrole = \"msr\"\nport = \"" + s.Path(sim.MSR) + "\"\n" +
		"[[device]]\nname = \"pad\"\nrole = \"keypad\"\nport = \"" + s.Path(sim.Keypad) + "\"\n"
	if err := os.WriteFile(f.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f.client = api.NewClient(filepath.Join(dir, "posd.sock"))
	if running {
		f.start()
	}
	return f
}

// start runs posd.
func (f *shopFloor) start() {
	f.Helper()
	c, err := loadConfig(f.config)
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, c, slog.New(slog.DiscardHandler)) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	f.Cleanup(f.stop)
	for end := time.Now().Add(20 * time.Second); ; {
		devices, err := f.client.Devices(f.Context())
		if err == nil && len(devices) == 3 && devices[0].State == api.Reading && devices[2].State == api.Reading {
			return
		}
		if time.Now().After(end) {
			f.Fatalf("posd does not read its devices: %v, %+v", err, devices)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// bench gives the bench that a command would have.
func (f *shopFloor) bench() bench {
	f.Helper()
	if _, err := f.client.Devices(f.Context()); !errors.Is(err, api.ErrNotRunning) {
		return running{f.client}
	}
	b, err := ownBench(f.Context(), f.config, true, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(b.close)
	return b
}

func (f *shopFloor) do(commands ...string) {
	f.Helper()
	for _, c := range commands {
		if _, err := f.sim.Do(f.Context(), c); err != nil {
			f.Fatal(err)
		}
	}
}

// hears listens, has the devices do something, and gives what is heard first.
func (f *shopFloor) hears(b bench, device string, commands ...string) technician.Heard {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 20*time.Second)
	defer cancel()
	ready, got := make(chan struct{}), make(chan technician.Heard, 10)
	done := make(chan error, 1)
	go func() {
		done <- b.listen(ctx, device, 20*time.Second, func() { close(ready) }, func(h technician.Heard) error { got <- h; return nil })
	}()
	select {
	case <-ready:
	case err := <-done:
		f.Fatalf("nobody listens: %v", err)
	}
	f.do(commands...)
	select {
	case h := <-got:
		cancel()
		<-done
		return h
	case <-ctx.Done():
		f.Fatal("nothing was heard")
		return technician.Heard{}
	}
}

func TestIdentify(t *testing.T) {
	for name, running := range map[string]bool{"by posd": true, "without posd": false} {
		t.Run(name, func(t *testing.T) {
			f := newShopFloor(t, running)
			b := f.bench()
			if h := f.hears(b, "", "scan 036000291452"); h.Device != "front" || h.Best != "serial-scanner" || h.Events()[0].Label != "036000291452" {
				t.Errorf("scan: %+v", h)
			}
			h := f.hears(b, "card", "swipe 4111111111111111")
			text, err := json.Marshal(h)
			if h.Device != "card" || h.Best != "serial-msr" || h.Events()[0].Last4 != "1111" || err != nil || bytes.Contains(text, []byte("411111")) {
				t.Errorf("swipe: %s", text)
			}
			if text, err := json.Marshal(f.hears(b, "pad", "key 2125550123")); err != nil || bytes.Contains(text, []byte("212555")) || !bytes.Contains(text, []byte(`"last4":"0123"`)) {
				t.Errorf("a telephone number: %s", text)
			}
			h = f.hears(b, "front", "scan 4111111111111111")
			if text, err := json.Marshal(h); err != nil || bytes.Contains(text, []byte("41111")) || !bytes.Contains(text, []byte("1111")) {
				t.Errorf("a card's number as a bar code: %s", text)
			}
			if !running {
				return
			}
			if _, open, err := f.client.Basket(t.Context()); open || err != nil {
				t.Errorf("what a technician scanned is in a basket: %v", err)
			}
		})
	}
}

// lastText is a writer that keeps what was written last.
type lastText struct{ written chan string }

func (l lastText) Write(p []byte) (int, error) {
	l.written <- string(p)
	return len(p), nil
}

// Watching goes on over an unplugged device and a posd that stops.
func TestWatchDevices(t *testing.T) {
	f := newShopFloor(t, true)
	ctx, cancel := context.WithCancel(t.Context())
	l, done := lastText{make(chan string)}, make(chan error, 1)
	go func() { done <- watchDevices(ctx, f.client, l, cli.Palette{}, false) }()
	if first := <-l.written; !strings.Contains(first, "front") || strings.Contains(first, "missing") {
		t.Errorf("first:\n%s", first)
	}
	f.do("unplug scanner")
	if second := <-l.written; !strings.Contains(second, "missing") {
		t.Errorf("second:\n%s", second)
	}
	f.stop()
	if third := <-l.written; !strings.Contains(third, "posd does not run") {
		t.Errorf("third:\n%s", third)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPrintHeard(t *testing.T) {
	f := newShopFloor(t, false)
	h := f.hears(f.bench(), "front", "scan 036000291452")
	var b bytes.Buffer
	if err := printHeard(&b, cli.Palette{}, h); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"front", "→  serial-scanner", "scan UPCA 036000291452 GTIN 00036000291452 item", "serial-msr", "does not look like"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	b.Reset()
	h.Device, h.ID, h.Line = "", "05f9:2214@1-2", "19200-8N1"
	if err := printHeard(&b, cli.Palette{}, h); err != nil {
		t.Fatal(err)
	}
	_, snippet, _ := strings.Cut(b.String(), "configuration:\n")
	head := "country = \"US\"\npayment_cards = true\n"
	if _, err := config.Parse("x", []byte(head+snippet), config.Checks{}); err != nil || !strings.Contains(snippet, `id = "05f9:2214@1-2"`) || !strings.Contains(snippet, `line = "19200-8N1"`) {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// A sale that goes on is not disturbed, and neither are two technicians.
func TestListenRefused(t *testing.T) {
	f := newShopFloor(t, true)
	b := f.bench()
	ready := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- b.listen(ctx, "card", 20*time.Second, func() { close(ready) }, func(technician.Heard) error { return nil })
	}()
	<-ready
	err := b.listen(t.Context(), "card", time.Second, nil, nil)
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Type != api.ProblemDeviceBusy {
		t.Errorf("a second listener: %v", err)
	}
	cancel()
	<-done
	if err := b.listen(t.Context(), "printer", time.Second, nil, nil); err == nil || !strings.Contains(err.Error(), "no device") {
		t.Errorf("got %v", err)
	}
	if _, err := f.client.AddLine(t.Context(), api.NewLine{Label: "036000291452"}); err != nil {
		t.Fatal(err)
	}
	err = b.listen(t.Context(), "", time.Second, nil, nil)
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Type != api.ProblemBasketOpen {
		t.Errorf("while a basket is open: %v", err)
	}
}

// records records a device, and gives the recording.
func (f *shopFloor) records(b bench, device string, test bool, commands ...string) string {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 20*time.Second)
	defer cancel()
	ready, done := make(chan struct{}), make(chan error, 1)
	var text bytes.Buffer
	got := make(chan struct{}, 100)
	go func() {
		done <- b.record(ctx, device, test, 20*time.Second, func() { close(ready) }, func(p []byte) error {
			text.Write(p)
			if bytes.HasSuffix(p, []byte("0D\n")) { // both devices end with it
				got <- struct{}{}
			}
			return nil
		})
	}()
	select {
	case <-ready:
	case err := <-done:
		f.Fatalf("nobody records: %v", err)
	}
	f.do(commands...)
	<-got
	cancel()
	<-done
	return text.String()
}

func TestRecord(t *testing.T) {
	for name, running := range map[string]bool{"by posd": true, "without posd": false} {
		t.Run(name, func(t *testing.T) {
			f := newShopFloor(t, running)
			b := f.bench()
			label := f.records(b, "front", false, "scan 036000291452")
			if rec, err := recording.Parse([]byte(label)); err != nil || !strings.Contains(label, "30 33 36 30 30 30") || rec.Source == "" || rec.Line != "9600-8N1" {
				t.Errorf("%v\n%s", err, label)
			}
			if card := f.records(b, "card", false, "swipe 5555555555554444"); strings.Contains(card, "35 35 35") || !strings.Contains(card, "# masked") {
				t.Errorf("a card's number is in\n%s", card)
			}
			if card := f.records(b, "card", true, "swipe 5555555555554444"); !strings.Contains(strings.ReplaceAll(card, "\n", ""), "35 35 35") {
				t.Errorf("a test number is not in\n%s", card)
			}
			if card := f.records(b, "card", true, "swipe 4539578763621486"); strings.Contains(card, "34 35 33 39") {
				t.Errorf("a number that is no test number is in\n%s", card)
			}
		})
	}
}

// TestCheck goes through a whole check as a person would.
func TestCheck(t *testing.T) {
	f := newShopFloor(t, true)
	report := filepath.Join(t.TempDir(), "front")
	asked, said := io.Pipe()
	in, enter := io.Pipe()
	var out bytes.Buffer
	status := make(chan int, 1)
	go func() {
		env := cli.Env{Args: []string{"check", "front", "--config", f.config, "--by", "A. Technician", "--report", report}, Stdin: in, Stdout: &out, Stderr: said, Context: t.Context()}
		code := cli.Main(root, env)
		said.Close()
		status <- code
	}()
	answers := map[string]func(){
		"three times": func() { f.do("scan 036000291452") },
		"of 3":        func() { f.do("scan 036000291452") },
		"DataMatrix":  func() { io.WriteString(enter, "\n") },
		"Unplug":      func() { f.do("unplug scanner") },
		"it is miss":  func() { f.do("plug scanner") },
		"once more":   func() { f.do("scan 036000291452") },
	}
	var talk strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := asked.Read(buf)
		line := string(buf[:n])
		talk.WriteString(line)
		for what, answer := range answers {
			if strings.Contains(line, what) && !strings.Contains(line, "3 of 3") {
				answer()
			}
		}
		if err != nil {
			break
		}
	}
	if code := <-status; code != 0 || !strings.Contains(out.String(), "PASSED") {
		t.Fatalf("status %d\n%s\n%s", code, talk.String(), out.String())
	}
	text, err := os.ReadFile(report + ".json")
	var r technician.Report
	if err != nil || json.Unmarshal(text, &r) != nil || !r.Intact() || r.By != "A. Technician" || len(r.Steps) != 4 {
		t.Errorf("%v\n%s", err, text)
	}
}

// brief is a bench that listens a moment at a time, and hears something the third
// time.
type brief struct {
	bench
	times int
}

func (b *brief) devices(context.Context) ([]api.Device, error) {
	return []api.Device{{Name: "front", State: api.Reading}}, nil
}

func (b *brief) listen(_ context.Context, _ string, _ time.Duration, ready func(), tell func(technician.Heard) error) error {
	ready()
	if b.times++; b.times < 3 {
		return nil
	}
	return tell(technician.Heard{At: time.Now(), Device: "front", Bytes: 7})
}

// A check goes on though posd does not listen for so long at a time.
func TestCheckListensAgain(t *testing.T) {
	c, err := technician.NewCheck(technician.Device{Name: "front", Role: "scanner", State: "reading"}, "1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r, said := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		s := &sitting{bench: &brief{}, check: c, device: "front", patience: time.Minute, say: said}
		ended <- s.run(ctx, strings.NewReader(""))
		said.Close()
	}()
	lines := bufio.NewScanner(r)
	for lines.Scan() && !strings.Contains(lines.Text(), "7 bytes") {
	}
	cancel()
	go io.Copy(io.Discard, r)
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended by %v", err)
	}
}
