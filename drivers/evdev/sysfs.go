package evdev

import (
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Info is what the kernel says of an input device.
type Info struct {
	Name            string
	Bus             uint16 // BUS_USB is 3, BUS_BLUETOOTH 5 (linux/input.h)
	Vendor, Product uint16
	Phys            string   // where it is plugged in: usb-0000:00:14.0-1/input0
	Uniq            string   // its serial number, which most have not
	Keys            []uint64 // the bits of the keys that it has
}

// Has reports whether the device has the key of a code.
func (i Info) Has(code uint16) bool {
	word := int(code / 64)
	return word < len(i.Keys) && i.Keys[word]>>(code%64)&1 != 0
}

// Look reads what sysfs has of the input device with the event node of this
// name. It needs no permission on the node.
func Look(sysfs, name string) (Info, error) {
	dir := filepath.Join(sysfs, "class", "input", name, "device")
	if !strings.HasPrefix(name, "event") {
		return Info{}, fmt.Errorf("%s is no event node", name)
	}
	keys, err := os.ReadFile(filepath.Join(dir, "capabilities", "key"))
	if err != nil {
		return Info{}, fmt.Errorf("read keys: %w", err)
	}
	info := Info{Name: line(dir, "name"), Phys: line(dir, "phys"), Uniq: line(dir, "uniq")}
	if info.Keys, err = bitmap(string(keys), bits.UintSize); err != nil {
		return Info{}, fmt.Errorf("read keys: %w", err)
	}
	for file, id := range map[string]*uint16{"bustype": &info.Bus, "vendor": &info.Vendor, "product": &info.Product} {
		n, err := strconv.ParseUint(line(dir, "id/"+file), 16, 16)
		if err != nil {
			return Info{}, fmt.Errorf("read %s: %w", file, err)
		}
		*id = uint16(n)
	}
	return info, nil
}

// line gives a file's text, or "" if there is none.
func line(dir, file string) string {
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(b), "\n")
}

// bitmap reads a bitmap as the kernel prints it: words in hex, the lowest last.
// A word is as wide as a long of the program that reads.
func bitmap(s string, wordBits int) ([]uint64, error) {
	words := strings.Fields(s)
	all := make([]uint64, (len(words)*wordBits+63)/64)
	for i := range words {
		word, err := strconv.ParseUint(words[len(words)-1-i], 16, wordBits)
		if err != nil {
			return nil, err
		}
		at := i * wordBits
		all[at/64] |= word << (at % 64)
	}
	return all, nil
}
