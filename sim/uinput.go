package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"posd/drivers/recording"
)

// The requests of linux/uinput.h.
const (
	uiDevCreate  = 'U'<<8 | 1
	uiDevDestroy = 'U'<<8 | 2
	uiDevSetup   = 1<<30 | uinputSetup<<16 | 'U'<<8 | 3
	uiSetEvBit   = 1<<30 | 4<<16 | 'U'<<8 | 100
	uiSetKeyBit  = 1<<30 | 4<<16 | 'U'<<8 | 101
	uiSetLEDBit  = 1<<30 | 4<<16 | 'U'<<8 | 105

	uinputSetup = 8 + 80 + 4 // struct uinput_setup: id, name, ff_effects_max
	eventTime   = 2 * unsafe.Sizeof(uintptr(0))

	evSyn = 0
	evKey = 1
	evLED = 0x11
	keys  = 249 // those that keyboards have, KEY_MICMUTE and below
)

// untaken is how long a keyboard waits for somebody to take it.
const untaken = 3 * time.Second

// uinput plays on a keyboard of the kernel, made by a program.
type uinput struct {
	file *os.File
	sync bool // the recording leaves out the ends of packets
}

func newUInput() stage { return &uinput{} }

// open makes the keyboard, and waits until somebody has taken it: its lights tell
// that, which posd sets. Others do not: for them it waits a while.
func (u *uinput) open(ctx context.Context, rec recording.Recording) (string, error) {
	var err error
	if u.file, err = os.OpenFile("/dev/uinput", os.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
		return "", fmt.Errorf("%w: try as root, with the module uinput loaded (modprobe uinput)", err)
	}
	if err := u.create(rec); err != nil {
		u.file.Close()
		return "", fmt.Errorf("make a keyboard: %w", err)
	}
	u.sync = !slices.ContainsFunc(rec.Entries, func(e recording.Entry) bool { return e.Event == recording.Event{} })
	u.awaitLights(ctx)
	if ctx.Err() != nil {
		u.close()
		return "", ctx.Err()
	}
	return fmt.Sprintf("a keyboard %04x:%04x", rec.Vendor, rec.Product), nil
}

// awaitLights waits until the lights are set.
func (u *uinput) awaitLights(ctx context.Context) {
	u.file.SetReadDeadline(time.Now().Add(untaken))
	defer u.file.SetReadDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() { u.file.SetReadDeadline(time.Now()) })()
	event := make([]byte, eventTime+8)
	for {
		if n, err := u.file.Read(event); err != nil || n == len(event) && binary.NativeEndian.Uint16(event[eventTime:]) == evLED {
			return
		}
	}
}

func (u *uinput) create(rec recording.Recording) error {
	if err := u.bits(uiSetEvBit, evSyn, evKey, evLED); err != nil {
		return err
	}
	if err := u.bits(uiSetLEDBit, 0, 1); err != nil { // Num Lock, Caps Lock
		return err
	}
	for key := range uintptr(keys) {
		if err := u.bits(uiSetKeyBit, key); err != nil {
			return err
		}
	}
	setup := make([]byte, 0, uinputSetup)
	for _, v := range []uint16{BusUSB, rec.Vendor, rec.Product, 1} {
		setup = binary.NativeEndian.AppendUint16(setup, v)
	}
	name := rec.Name
	if name == "" {
		name = "posd replay"
	}
	setup = append(append(setup, padded(name, 80)...), 0, 0, 0, 0)
	if err := u.ioctl(uiDevSetup, uintptr(unsafe.Pointer(&setup[0]))); err != nil {
		return err
	}
	return u.ioctl(uiDevCreate, 0)
}

func (u *uinput) bits(request uintptr, bits ...uintptr) error {
	for _, b := range bits {
		if err := u.ioctl(request, b); err != nil {
			return err
		}
	}
	return nil
}

func (u *uinput) ioctl(request, arg uintptr) error {
	raw, err := u.file.SyscallConn()
	if err != nil {
		return err
	}
	var errno unix.Errno
	if err := raw.Control(func(fd uintptr) { _, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, request, arg) }); err != nil {
		return err
	}
	if errno != 0 {
		return errno
	}
	return nil
}

// send gives an event: struct input_event, whose time the kernel sets. What the
// kernel itself says in a recording (lights, lost events) is left out.
func (u *uinput) send(_ context.Context, e recording.Entry) error {
	if e.Event.Type == evLED || e.Event.Type == evSyn && e.Event.Code != 0 {
		return nil
	}
	if err := u.event(e.Event); err != nil || !u.sync {
		return err
	}
	return u.event(recording.Event{})
}

func (u *uinput) event(e recording.Event) error {
	b := make([]byte, eventTime, eventTime+8)
	b = binary.NativeEndian.AppendUint16(b, e.Type)
	b = binary.NativeEndian.AppendUint16(b, e.Code)
	b = binary.NativeEndian.AppendUint32(b, uint32(e.Value))
	_, err := u.file.Write(b)
	return err
}

func (u *uinput) close() error {
	_ = u.ioctl(uiDevDestroy, 0)
	return u.file.Close()
}
