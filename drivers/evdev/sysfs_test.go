package evdev

import (
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"posd/drivers/keyboard"
)

// keyWords are the keys of a keyboard, as a program of this width reads them.
var keyWords = map[int]string{
	64: "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe\n",
	32: "10000 7 ff9f207a c14057ff febeffdf ffefffff ffffffff fffffffe\n",
}

// scanner is what the kernel tells of a scanner that plays a keyboard.
var scanner = map[string]string{
	"name":             "Honeywell Scanning 1900\n",
	"phys":             "usb-0000:00:14.0-2/input0\n",
	"uniq":             "14200B0A5F\n",
	"id/bustype":       "0003\n",
	"id/vendor":        "0c2e\n",
	"id/product":       "0b61\n",
	"capabilities/key": keyWords[bits.UintSize],
}

func inSysfs(t *testing.T, sysfs, name string, files map[string]string) {
	t.Helper()
	dir := filepath.Join(sysfs, "class", "input", name, "device")
	for _, sub := range []string{"id", "capabilities"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLook(t *testing.T) {
	sysfs := t.TempDir()
	inSysfs(t, sysfs, "event3", scanner)
	i, err := Look(sysfs, "event3")
	if err != nil {
		t.Fatal(err)
	}
	if i.Name != "Honeywell Scanning 1900" || i.Phys != "usb-0000:00:14.0-2/input0" || i.Uniq != "14200B0A5F" || i.Bus != 3 || i.Vendor != 0x0c2e || i.Product != 0x0b61 {
		t.Errorf("got %+v", i)
	}
	if !keyboard.IsKeyboard(i.Keys) || !i.Has(keyboard.KeyA) || !i.Has(240) || i.Has(0) || i.Has(195) || i.Has(256) || i.Has(0xffff) {
		t.Errorf("keys %x", i.Keys)
	}
}

func TestLookErrors(t *testing.T) {
	for say, change := range map[string]string{"keys": "capabilities/key", "vendor": "id/vendor", "product": "id/product", "bustype": "id/bustype"} {
		for _, text := range []string{"", "no hex\n", "123456789abcdef01\n"} {
			files := map[string]string{}
			for file, text := range scanner {
				files[file] = text
			}
			if delete(files, change); text != "" {
				files[change] = text
			}
			sysfs := t.TempDir()
			inSysfs(t, sysfs, "event3", files)
			if _, err := Look(sysfs, "event3"); err == nil || !strings.Contains(err.Error(), say) {
				t.Errorf("%s is %q: %v", change, text, err)
			}
		}
	}
	sysfs := t.TempDir()
	inSysfs(t, sysfs, "js0", scanner)
	if _, err := Look(sysfs, "js0"); err == nil {
		t.Error("a joystick's other node has no events")
	}
	files := map[string]string{}
	for _, file := range []string{"id/bustype", "id/vendor", "id/product", "capabilities/key"} {
		files[file] = scanner[file]
	}
	inSysfs(t, sysfs, "event4", files)
	if i, err := Look(sysfs, "event4"); err != nil || i.Name != "" || i.Uniq != "" {
		t.Errorf("a device without a name: %+v, %v", i, err)
	}
}

func TestBitmap(t *testing.T) {
	for _, c := range []struct {
		text string
		bits int
		want []uint64
	}{
		{"", 64, []uint64{}},
		{"0\n", 64, []uint64{0}},
		{"1 8000000000000000", 64, []uint64{1 << 63, 1}},
		{"3 0 2", 32, []uint64{2, 3}},
		{"1 80000000 3", 32, []uint64{0x80000000_00000003, 1}},
		{keyWords[32], 32, []uint64{0xfffffffffffffffe, 0xfebeffdfffefffff, 0xff9f207ac14057ff, 0x1000000000007}},
	} {
		if got, err := bitmap(c.text, c.bits); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: got %x, %v, want %x", c.text, got, err, c.want)
		}
	}
	if _, err := bitmap("100000000", 32); err == nil {
		t.Error("a word is too wide")
	}
}

func FuzzBitmap(f *testing.F) {
	f.Add(keyWords[64], true)
	f.Add(keyWords[32], false)
	f.Add("3 0 2", false)
	f.Fuzz(func(t *testing.T, s string, wide bool) {
		wordBits := 32
		if wide {
			wordBits = 64
		}
		keys, err := bitmap(s, wordBits)
		if err != nil {
			return
		}
		set, want := 0, 0
		for code := range len(keys) * 64 {
			if code <= 0xffff && (Info{Keys: keys}).Has(uint16(code)) {
				set++
			}
		}
		for _, word := range strings.Fields(s) {
			n, _ := strconv.ParseUint(word, 16, 64)
			want += bits.OnesCount64(n)
		}
		if len(keys) <= 1024 && set != want {
			t.Fatalf("%d keys of %d bits", set, want)
		}
	})
}
