package hotplug

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path"
	"strings"
)

// Event is what the kernel or udevd says happened to a device. It may be late: by
// the time it is read, the device can have gone, or another have come in its place.
type Event struct {
	Action    string // add, remove, change, move, bind, unbind, online, offline
	Subsystem string
	DevPath   string // below sysfs: /devices/...
	OldPath   string // before a move
}

// The actions that a node may be ready with. After all others it is only seen what
// became of it.
const (
	actionAdd    = "add"
	actionChange = "change"
	actionMove   = "move"
)

// kernel gives the kernel's name of the device.
func (e Event) kernel() string { return path.Base(e.DevPath) }

// matters reports whether an event may be of a node that a lane could read, or of
// a device that takes such nodes with it when it moves.
func (e Event) matters() bool {
	switch e.Subsystem {
	case TTY, HIDRaw, Input, USB:
		return true
	}
	return e.OldPath != ""
}

// What udevd's messages begin with (struct monitor_netlink_header of systemd's
// device-monitor.c, the same since udev 187): libudev and a NUL; a magic number in
// network order; then in the machine's order the length of the header, and offset
// and length of the properties. Filters follow.
const (
	udevPrefix    = "libudev\x00"
	udevMagic     = 0xfeedcafe
	udevMagicAt   = 8
	udevOffsetAt  = 16
	udevLengthAt  = 20
	udevMinHeader = 24
)

// parseUdev reads a message of udevd.
func parseUdev(b []byte) (Event, error) {
	switch {
	case len(b) < udevMinHeader || !bytes.HasPrefix(b, []byte(udevPrefix)):
		return Event{}, errors.New("parse message of udevd: it has no header")
	case binary.BigEndian.Uint32(b[udevMagicAt:]) != udevMagic:
		return Event{}, errors.New("parse message of udevd: it is of another version")
	}
	offset := uint64(binary.NativeEndian.Uint32(b[udevOffsetAt:]))
	length := uint64(binary.NativeEndian.Uint32(b[udevLengthAt:]))
	if offset < udevMinHeader || offset+length > uint64(len(b)) {
		return Event{}, errors.New("parse message of udevd: it is cut off")
	}
	return parseProperties(b[offset : offset+length])
}

// parseKernel reads a message of the kernel (lib/kobject_uevent.c): action@path and
// a NUL, then properties, which say the same again.
func parseKernel(b []byte) (Event, error) {
	head, properties, ok := bytes.Cut(b, []byte{0})
	action, devpath, at := strings.Cut(string(head), "@")
	if !ok || !at {
		return Event{}, errors.New("parse message of the kernel: it has no header")
	}
	e, err := parseProperties(properties)
	if err == nil && (e.Action != action || e.DevPath != devpath) {
		err = errors.New("parse message of the kernel: header and properties differ")
	}
	if err != nil {
		return Event{}, err
	}
	return e, nil
}

// parseProperties reads NAME=VALUE, each with a NUL at its end. The first of a
// name is taken: the kernel's own come first.
func parseProperties(b []byte) (Event, error) {
	var e Event
	fields := map[string]*string{"ACTION": &e.Action, "SUBSYSTEM": &e.Subsystem, "DEVPATH": &e.DevPath, "DEVPATH_OLD": &e.OldPath}
	for len(b) > 0 {
		property, rest, ended := bytes.Cut(b, []byte{0})
		if !ended {
			return Event{}, errors.New("parse properties of a device: they are cut off")
		}
		name, value, _ := strings.Cut(string(property), "=")
		if field := fields[name]; field != nil {
			setOnce(field, value)
		}
		b = rest
	}
	if e.Action == "" || e.Subsystem == "" || !isDevPath(e.DevPath) || e.OldPath != "" && !isDevPath(e.OldPath) {
		return Event{}, errors.New("parse properties of a device: action, subsystem or path is missing")
	}
	return e, nil
}

// isDevPath reports whether a path stays below where sysfs is mounted.
func isDevPath(p string) bool { return strings.HasPrefix(p, "/") && len(p) > 1 && path.Clean(p) == p }
