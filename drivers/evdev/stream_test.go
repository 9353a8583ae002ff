package evdev

import (
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"posd/drivers/keyboard"
	"posd/drivers/recording"
)

func TestStream(t *testing.T) {
	a, b := key(keyboard.KeyA, 1), key(keyboard.KeyB, 1)
	scan := recording.Event{Type: 4, Code: 4, Value: 0x70004}
	caps, num := key(keyboard.KeyCapsLock, 1), key(keyboard.KeyNumLock, 1)
	type events = []recording.Event
	for _, c := range []struct {
		say      string
		in, want events
		locks    locks
	}{
		{"keys", events{a, report, b, report}, events{a, report, b, report}, home},
		{"scan codes, lights and repeats' settings", events{scan, a, lamp(1, true), {Type: 0x14, Code: 1}, report}, events{a, report}, home},
		{"another event of EV_SYN", events{{Type: 0, Code: 1}, a}, events{a}, home},
		{"lost in the middle", events{a, report, dropped, b, report, a, report}, events{a, report, dropped, a, report}, home},
		{"lost twice", events{dropped, a, dropped, b, report, a, report}, events{dropped, dropped, a, report}, home},
		{"lost, and nothing behind", events{dropped, report, a, report}, events{dropped, a, report}, home},
		{"Caps Lock", events{caps, key(keyboard.KeyCapsLock, 0)}, events{caps, key(keyboard.KeyCapsLock, 0)}, locks{caps: true, num: true}},
		{"Caps Lock twice", events{caps, caps}, events{caps, caps}, home},
		{"Num Lock", events{num}, events{num}, locks{}},
		{"Caps Lock before the gap", events{caps, num, dropped}, events{caps, num, dropped}, home},
		{"Caps Lock in the gap", events{dropped, caps, report}, events{dropped}, home},
	} {
		s := stream{time: timeSize, locks: home}
		var raw []byte
		for _, e := range c.in {
			raw = appendRaw(raw, e)
		}
		got := slices.Collect(recording.Events(s.take(nil, raw)))
		if !slices.Equal(got, c.want) || s.locks != c.locks || s.unsure != slices.Contains(c.in, dropped) {
			t.Errorf("%s: got %v, %+v", c.say, got, s)
		}
	}
}

// What a kernel of 64 or 32 bits, little endian, gives for a key.
func TestStreamOfKernels(t *testing.T) {
	for bytes, raw := range map[int][]byte{
		16: {0x15, 0x3a, 0x9e, 0x6a, 0, 0, 0, 0, 0x40, 0x42, 0x0f, 0, 0, 0, 0, 0, 1, 0, 0x1e, 0, 1, 0, 0, 0},
		8:  {0x15, 0x3a, 0x9e, 0x6a, 0x40, 0x42, 0x0f, 0, 1, 0, 0x1e, 0, 1, 0, 0, 0},
	} {
		s := stream{time: bytes}
		got := slices.Collect(recording.Events(s.take(nil, append(raw, raw[:15]...))))
		if !slices.Equal(got, []recording.Event{key(keyboard.KeyA, 1)}) {
			t.Errorf("time of %d bytes: got %v", bytes, got)
		}
	}
}

func TestRequests(t *testing.T) {
	// As a C compiler has them on amd64, from linux/input.h.
	for name, c := range map[string][2]uint32{
		"EVIOCGKEY(96)": {eviocgkey, 0x80604518},
		"EVIOCGRAB":     {eviocgrab, 0x40044590},
		"EVIOCSMASK":    {eviocsmask, 0x40104593},
	} {
		if c[0] != c[1] {
			t.Errorf("%s is %#x, want %#x", name, c[0], c[1])
		}
	}
	if size := int(unsafe.Sizeof(unix.Timeval{})); timeSize != size {
		t.Errorf("an event's time has %d bytes, a timeval %d", timeSize, size)
	}
}

func FuzzStream(f *testing.F) {
	var raw []byte
	for _, e := range []recording.Event{key(keyboard.KeyA, 1), dropped, key(keyboard.KeyCapsLock, 1), report, key(keyboard.KeyA, 0), report} {
		raw = appendRaw(raw, e)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)-3])
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, whole := stream{time: timeSize, locks: home}, stream{time: timeSize, locks: home}
		var got []byte
		for rest := raw; len(rest) >= eventSize; rest = rest[eventSize:] {
			got = s.take(got, rest[:eventSize])
		}
		if all := whole.take(nil, raw); !slices.Equal(got, all) || s != whole {
			t.Fatal("it matters how events are read")
		}
		if len(got)%recording.EventSize != 0 || len(got)/recording.EventSize > len(raw)/eventSize {
			t.Fatalf("%d bytes of %d", len(got), len(raw))
		}
		for e := range recording.Events(got) {
			if e != report && e != dropped && e.Type != keyboard.EvKey {
				t.Fatalf("got %v", e)
			}
		}
	})
}
