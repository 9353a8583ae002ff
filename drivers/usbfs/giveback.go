package usbfs

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The requests of linux/usbdevice_fs.h.
const (
	usbdevfsConnect = 'U'<<8 | 23                                                              // _IO('U', 23)
	usbdevfsIoctlNr = 3<<30 | uintptr(unsafe.Sizeof(usbdevfsIoctl{}))<<16 | uintptr('U'<<8|18) // _IOWR('U', 18, struct usbdevfs_ioctl)
)

// giveBack has the kernel bind a driver to an interface that a reader took from
// it. A device that is gone needs none, and one that has no driver gets none.
func giveBack(path string, number int) error {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	request := usbdevfsIoctl{number: int32(number), request: usbdevfsConnect}
	var errno syscall.Errno
	if err := raw.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, usbdevfsIoctlNr, uintptr(unsafe.Pointer(&request)))
	}); err != nil {
		return err
	}
	switch {
	case errno == 0, errors.Is(errno, unix.ENODEV), errors.Is(errno, unix.EBUSY), errors.Is(errno, unix.ENOTTY), errors.Is(errno, unix.EINVAL):
		return nil
	}
	return fmt.Errorf("give %s back to its kernel driver: %w", path, errno)
}
