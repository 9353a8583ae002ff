package evdev

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"posd/drivers/keyboard"
	"posd/drivers/node"
)

// kernel is what is asked of an input device besides reading.
type kernel interface {
	mask() error             // leaves out what is no key
	keysDown() (bool, error) // and throws away the keys that wait to be read
	grab(on bool) error
	write(raw []byte) error // never waits
}

// Requests of linux/input.h, as they are on machines that follow
// asm-generic/ioctl.h: amd64, 386, arm, arm64, riscv64.
const (
	iocWrite = 1 << 30
	iocRead  = 2 << 30

	eviocgkey  = iocRead | keyBytes<<16 | 'E'<<8 | 0x18
	eviocgrab  = iocWrite | 4<<16 | 'E'<<8 | 0x90
	eviocsmask = iocWrite | 16<<16 | 'E'<<8 | 0x93

	keyBytes = 768 / 8 // KEY_CNT
)

type ioctls struct{ *node.Node }

func (i ioctls) write(raw []byte) error { return i.Node.Send(raw) }

func (i ioctls) grab(on bool) error {
	arg := uintptr(0)
	if on {
		arg = 1
	}
	return i.Control(func(fd int) error { return ioctl(fd, eviocgrab, arg) })
}

func (i ioctls) keysDown() (bool, error) {
	var keys [keyBytes]byte
	err := i.Control(func(fd int) error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), eviocgkey, uintptr(unsafe.Pointer(&keys[0])))
		return cause(errno)
	})
	return keys != [keyBytes]byte{}, err
}

// inputMask is struct input_mask.
type inputMask struct {
	kind, size uint32
	codes      uint64
}

// mask keeps scan codes and the echoes of lights out of the kernel's queue of 64
// events: 15 keys fit into it then, instead of 10. The mask of EV_SYN is that of
// types.
func (i ioctls) mask() error {
	types := new(uint64)
	*types = 1<<keyboard.EvSyn | 1<<keyboard.EvKey
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(types)
	m := inputMask{keyboard.EvSyn, 8, uint64(uintptr(unsafe.Pointer(types)))}
	return i.Control(func(fd int) error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), eviocsmask, uintptr(unsafe.Pointer(&m)))
		return cause(errno)
	})
}

func ioctl(fd int, request, arg uintptr) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, arg)
	return cause(errno)
}

func cause(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
