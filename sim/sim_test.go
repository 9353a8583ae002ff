package sim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"posd/msr"
	"posd/tid"
)

func start(t *testing.T, opt Options) *Sim {
	t.Helper()
	t.Parallel()
	if opt.Dir == "" {
		opt.Dir = t.TempDir()
	}
	s, err := Start(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// reading opens a device as a reader does, and gives n bytes of it.
func reading(t *testing.T, s *Sim, device string, n int) []byte {
	t.Helper()
	f, err := os.OpenFile(s.Path(device), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, n)
	if _, err := io.ReadFull(f, got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestCommands(t *testing.T) {
	s := start(t, Options{Fast: true})
	for _, c := range []struct{ command, device, sends, says string }{
		{"scan 036000291452", Scanner, "036000291452\r", "ok scan 036000291452"},
		{"scan 4111111111111111", Scanner, "4111111111111111\r", "ok scan ************1111"},
		{"scan 4111111111111112", Scanner, "4111111111111112\r", "ok scan 4111111111111112"},
		{"  scan a b ", Scanner, "a b\r", "ok scan a b"},
		{"swipe-error", MSR, "%E?;E?\r", "ok swipe-error"},
		{"swipe 2900123456789", MSR, ";2900123456789?\r", "ok swipe *********6789"},
		{"key 5551234567", Keypad, "5551234567\r", "ok key ******4567"},
		{"key-clear", Keypad, "\x1b", "ok key-clear"},
		{"key-close", Keypad, "*", "ok key-close"},
		{"press 7", Keypad, "7", "ok press 7"},
		{"press Back", Keypad, "\b", "ok press Back"},
		{"send scanner 30 00 ff", Scanner, "0\x00\xff", "ok send scanner, 3 bytes"},
		{"wait 1ms", "", "", "ok wait 1ms"},
		{"# nothing", "", "", ""},
		{"", "", "", ""},
	} {
		said, err := s.Do(t.Context(), c.command)
		if err != nil || said != c.says {
			t.Errorf("%s: said %q, %v; want %q", c.command, said, err, c.says)
		}
		if c.device == "" {
			continue
		}
		if got := reading(t, s, c.device, len(c.sends)); string(got) != c.sends {
			t.Errorf("%s: sent %q, want %q", c.command, got, c.sends)
		}
	}
}

func TestSwipesAreCards(t *testing.T) {
	for _, number := range []string{"4111111111111111", "5555555555554444", "378282246310005", "6011111111111117"} {
		for _, lrc := range []bool{false, true} {
			frame := tracks([]byte(number), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), lrc)
			r := msr.Reader{Rules: tid.Rules{Payment: true, Country: "US"}, LRC: lrc}
			swipe := r.Read(bytes.TrimSuffix(frame, []byte("\r")))
			if swipe.TID.Kind() != tid.Payment || swipe.Last4() != number[len(number)-4:] || swipe.Form != "B" {
				t.Errorf("…%s, LRC %v: %+v", number[len(number)-4:], lrc, swipe)
			}
		}
	}
}

func TestNumbersAreWiped(t *testing.T) {
	s := start(t, Options{Fast: true})
	for _, command := range []string{"swipe 4111111111111111", "key 5551234567", "swipe 41111 1111"} {
		line := []byte(command)
		said, err := s.do(t.Context(), line)
		if !bytes.Equal(line, make([]byte, len(line))) {
			t.Errorf("%q is left", line)
		}
		if strings.Contains(said, "11111") || strings.Contains(said, "55512") || err != nil && strings.Contains(err.Error(), "1111") {
			t.Errorf("said %q, %v", said, err)
		}
	}
	reading(t, s, MSR, 10)
}

func TestBadCommands(t *testing.T) {
	s := start(t, Options{Fast: true, Devices: []string{Scanner}})
	for command, say := range map[string]string{
		"scna 1":                   "no command",
		"scan":                     "scan LABEL",
		"key-clear now":            "key-clear",
		"wait soon":                "no time",
		"unplug printer":           "printer",
		"swipe 4111111111111111":   "msr",
		"swipe 4111-1111":          "digits",
		"press Shift":              "a key",
		"send scanner":             "hex",
		"send scanner 3":           "hex",
		"key 12a":                  "digits",
		"swipe-error":              "msr",
		"plug keypad":              "keypad",
		"4111111111111111 forever": "no command",
	} {
		_, err := s.Do(t.Context(), command)
		var bad *CommandError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), "4111") {
			t.Errorf("%s: got %v, want %q", command, err, say)
		}
	}
}

func TestScriptErrorsNameTheLine(t *testing.T) {
	s := start(t, Options{Fast: true})
	var out bytes.Buffer
	err := s.Run(t.Context(), "story", strings.NewReader("key-clear\n\nfly\n"), &out)
	if err == nil || !strings.HasPrefix(err.Error(), "story:3: ") || out.String() != "ok key-clear\n" {
		t.Errorf("got %v and %q", err, out.String())
	}
	if err := s.Run(t.Context(), "story", strings.NewReader("key-clear\nscan 1"), io.Discard); err != nil {
		t.Error(err) // the last line needs no end
	}
	err = s.Run(t.Context(), "story", strings.NewReader(strings.Repeat("x", maxLine+1)), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("a line without end: %v", err)
	}
}

func TestRunStopsWhileInputBlocks(t *testing.T) {
	s := start(t, Options{Fast: true})
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, "pipe", r, io.Discard) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestUnplugAndPlug(t *testing.T) {
	s := start(t, Options{Fast: true, Devices: []string{Scanner}})
	f, err := os.OpenFile(s.Path(Scanner), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	do := func(command, wantErr string) {
		t.Helper()
		if _, err := s.Do(t.Context(), command); (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%s: %v", command, err)
		}
	}
	do("plug scanner", "already")
	do("unplug scanner", "")
	if _, err := f.Read(make([]byte, 1)); err == nil {
		t.Error("an unplugged device is read")
	}
	if _, err := os.Lstat(s.Path(Scanner)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link is left: %v", err)
	}
	do("unplug scanner", "not plugged in")
	do("scan 1", "not plugged in")
	do("plug scanner", "")
	do("scan 1", "")
	if got := reading(t, s, Scanner, 2); string(got) != "1\r" {
		t.Errorf("got %q", got)
	}
}

func TestPace(t *testing.T) {
	s := start(t, Options{Devices: []string{Scanner}})
	began := time.Now()
	if _, err := s.Do(t.Context(), "scan 036000291452036000291452"); err != nil {
		t.Fatal(err)
	}
	if took, least := time.Since(began), 25*time.Second*10/9600; took < least {
		t.Errorf("25 bytes at 9600 baud took %s, and cannot take less than %s", took, least)
	}
}

func TestReceived(t *testing.T) {
	s := start(t, Options{Fast: true, Devices: []string{Scanner}})
	f, err := os.OpenFile(s.Path(Scanner), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte{6}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); len(s.Received(Scanner)) == 0 && time.Now().Before(end); {
		if !sleep(t.Context(), time.Millisecond) {
			break
		}
	}
	if got := s.Received(Scanner); !bytes.Equal(got, []byte{6}) {
		t.Errorf("got %x", got)
	}
}

func TestStartErrors(t *testing.T) {
	if _, err := Start(Options{Dir: t.TempDir(), Devices: []string{"printer"}}); err == nil || !strings.Contains(err.Error(), "printer") {
		t.Error(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, Scanner), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "no link") {
		t.Error(err)
	}
}

// A daemon that is killed leaves TIOCEXCL behind.
func TestPortIsFreeAfterAKill(t *testing.T) {
	s := start(t, Options{Fast: true, Devices: []string{Scanner}})
	f, err := os.OpenFile(s.Path(Scanner), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	exclusive := func() (on uint32) {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.TIOCGEXCL, uintptr(unsafe.Pointer(&on))); errno != 0 {
			t.Fatal(errno)
		}
		return on
	}
	if err := unix.IoctlSetInt(int(f.Fd()), unix.TIOCEXCL, 0); err != nil || exclusive() == 0 {
		t.Fatalf("not exclusive: %v", err)
	}
	for end := time.Now().Add(5 * time.Second); exclusive() != 0; {
		if time.Now().After(end) || !sleep(t.Context(), time.Millisecond) {
			t.Fatal("the port stays exclusive")
		}
	}
}
