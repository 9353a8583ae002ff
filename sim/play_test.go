package sim

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"posd/drivers/recording"
)

func TestPlayOnAPTY(t *testing.T) {
	rec, err := recording.Parse([]byte("# transport: tty\n0 < 30 33 36\n0.001 < 30 0D\n0.002 > 06\n3600 < 41\n"))
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "scanner")
	got := make(chan string, 1)
	err = Play(t.Context(), rec, PlayOptions{Link: link, Fast: true, Ready: func(where string) error {
		f, err := os.OpenFile(where, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		go func() {
			defer f.Close()
			var text strings.Builder
			buf := make([]byte, 16)
			for text.Len() < 6 {
				n, err := f.Read(buf)
				if err != nil {
					break
				}
				text.Write(buf[:n])
			}
			got <- text.String()
		}()
		return nil
	}})
	if text := <-got; err != nil || text != "0360\rA" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link is left: %v", err)
	}
}

func TestPlayErrors(t *testing.T) {
	for text, say := range map[string]string{
		"0 < 41":                         "does not say",
		"# transport: hidraw\n0 < 41":    "no report descriptor",
		"# transport: tty\n0 < 41":       "goes through pty, and not through uhid",
		"# transport: evdev\n0 < 1 30 1": "goes through uinput, and not through uhid",
	} {
		rec, err := recording.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := Play(t.Context(), rec, PlayOptions{Through: ThroughUHID}); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The layout of what the kernel is told of a HID device (linux/uhid.h).
func TestCreate2(t *testing.T) {
	b := HID{Bus: BusUSB, Vendor: 0x0c2e, Product: 0x0b61, Name: "A scanner", Descriptor: []byte{5, 0x8c}}.create2()
	const head = 4 + 128 + 64 + 64
	if len(b) != head+2+2+16+2 || string(b[4:13]) != "A scanner" || b[head] != 2 || b[head+2] != BusUSB || b[head+4] != 0x2e || b[head+8] != 0x61 || b[len(b)-1] != 0x8c {
		t.Errorf("% x", b)
	}
}
