package hotplug

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// udevdSockets are where programs talk to udevd: newer ones have the second too,
// and are to lose the first.
var udevdSockets = [...]string{"/run/udev/control", "/run/udev/io.systemd.Udev"}

// UdevRuns reports whether a udevd tells of devices here: whether its socket is
// being listened on in our network namespace. It is the namespace that counts,
// since udevd's messages go no further; a container may well see udevd's files.
// Systemd holds the socket while udevd restarts, and starts it again when a device
// comes.
func UdevRuns() bool {
	return udevRuns("/proc/net/unix", udevdSockets[:])
}

func udevRuns(procNetUnix string, sockets []string) bool {
	f, err := os.Open(procNetUnix)
	if err != nil { // no /proc: what the file says is better than nothing
		return isSocket(sockets[0])
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		for _, socket := range sockets {
			if isListener(lines.Text(), socket) {
				return true
			}
		}
	}
	return false
}

// isListener reads a line of /proc/net/unix: number, references, protocol, flags,
// type, state, inode and path.
func isListener(line, path string) bool {
	const acceptCon = 0x10000 // __SO_ACCEPTCON of linux/net.h
	fields := strings.Fields(line)
	if len(fields) != 8 || fields[7] != path {
		return false
	}
	flags, err := strconv.ParseUint(fields[3], 16, 32)
	return err == nil && flags&acceptCon != 0
}

func isSocket(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Type() == os.ModeSocket
}
