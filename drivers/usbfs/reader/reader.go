// Package reader reads one USB device in a process of its own, for package
// usbfs. It is the only one that uses karalabe/usb, and cgo with it; without cgo
// it says that this posd has no such transport.
package reader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/karalabe/usb"

	"posd/drivers/usbfs"
)

// Run reads interface number of the USB device at path, such as
// /dev/bus/usb/001/004, and passes its reports to socket, until either is gone:
// then it returns, and the process has to end. Closing the device is left to the
// kernel, as the library's own Close is not safe beside a Read.
func Run(path string, number int, socket *os.File) error {
	device, err := open(path, number)
	if err != nil {
		_, _ = socket.WriteString(err.Error()) // if it is not heard, there is nobody
		return err
	}
	if _, err := socket.WriteString(usbfs.Ready); err != nil {
		return fmt.Errorf("pass on reports: %w", err)
	}
	ended := make(chan error, 2)
	go func() { ended <- up(device, socket) }()
	go func() { ended <- down(socket, device) }()
	return <-ended
}

// maxReport is longer than any report over USB.
const maxReport = 16384

// up passes reports from the device to the socket.
func up(device usb.Device, socket *os.File) error {
	buf := make([]byte, maxReport)
	for {
		n, err := device.Read(buf)
		if err != nil {
			return fmt.Errorf("read the device: %w", err)
		}
		if n == 0 { // hidapi's "nothing came"
			continue
		}
		_, err = socket.Write(buf[:n])
		clear(buf[:n])
		if err != nil {
			return fmt.Errorf("pass on a report: %w", err)
		}
	}
}

// down passes output reports from the socket to the device.
func down(socket *os.File, device usb.Device) error {
	buf := make([]byte, maxReport)
	for {
		n, err := socket.Read(buf)
		if err != nil || n == 0 {
			return errors.New("posd is gone")
		}
		if _, err := device.Write(buf[:n]); err != nil {
			return fmt.Errorf("send to the device: %w", err)
		}
	}
}

// open finds a device by its bus and number, and opens it.
func open(path string, number int) (usb.Device, error) {
	if !usb.Supported() {
		return nil, errors.New(usbfs.CodeUnsupported + ": built without cgo")
	}
	bus, address, err := place(path)
	if err != nil {
		return nil, err
	}
	all, err := usb.EnumerateHid(0, 0)
	if err != nil {
		return nil, fmt.Errorf("list USB devices: %v", err)
	}
	want := fmt.Sprintf("%04x:%04x:%02x", bus, address, number) // make_path of hidapi/libusb
	for _, info := range all {
		if info.Path == want {
			return opened(info)
		}
	}
	return raw(path, number)
}

func opened(info usb.DeviceInfo) (usb.Device, error) {
	d, err := info.Open()
	if err != nil {
		return nil, fmt.Errorf("open the device: %v", err)
	}
	return d, nil
}

// raw opens a device that is no HID device: the library knows it by vendor,
// product, the number of the port on its hub, and the interface.
func raw(path string, number int) (usb.Device, error) {
	vendor, product, port, err := identity("/sys", path)
	if err != nil {
		return nil, err
	}
	all, err := usb.EnumerateRaw(vendor, product)
	if err != nil {
		return nil, fmt.Errorf("list USB devices: %v", err)
	}
	var fits []usb.DeviceInfo
	for _, info := range all {
		_, at, _ := strings.Cut(strings.TrimPrefix(info.Path, "0000:"), ":")
		if _, last, ok := strings.Cut(at, ":"); ok {
			at = last
		}
		if n, err := strconv.Atoi(at); err == nil && n == port && info.Interface == number {
			fits = append(fits, info)
		}
	}
	switch len(fits) {
	case 0:
		return nil, errors.New(usbfs.CodeMissing + ": no interface with interrupt endpoints both ways")
	case 1:
		return opened(fits[0])
	}
	return nil, errors.New("two such devices are at ports of the same number, on two hubs: plug one into another port")
}

// place reads bus and number from the path of a node.
func place(path string) (bus, address int, err error) {
	bus, err1 := strconv.Atoi(filepath.Base(filepath.Dir(path)))
	address, err2 := strconv.Atoi(filepath.Base(path))
	if err1 != nil || err2 != nil {
		return 0, 0, fmt.Errorf("%s is no USB device such as /dev/bus/usb/001/004", path)
	}
	return bus, address, nil
}

// identity gives what sysfs says of the device with a node.
func identity(sysfs, path string) (vendor, product uint16, port int, err error) {
	bus, address, err := place(path)
	if err != nil {
		return 0, 0, 0, err
	}
	dirs, _ := filepath.Glob(filepath.Join(sysfs, "bus/usb/devices/*-*"))
	for _, dir := range dirs {
		if strings.Contains(filepath.Base(dir), ":") || number(dir, "busnum", 10) != bus || number(dir, "devnum", 10) != address {
			continue
		}
		name := filepath.Base(dir) // 1-2.3: bus 1, port 2, port 3 of the hub there
		port, err = strconv.Atoi(name[strings.LastIndexAny(name, "-.")+1:])
		return uint16(number(dir, "idVendor", 16)), uint16(number(dir, "idProduct", 16)), port, err
	}
	return 0, 0, 0, errors.New(usbfs.CodeMissing + ": it was unplugged")
}

func number(dir, file string, base int) int {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return -1
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), base, 32)
	if err != nil {
		return -1
	}
	return int(n)
}
