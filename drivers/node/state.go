package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// State is how a device is, seen from its node.
type State string

// The states of a device.
const (
	Reading      State = "reading"
	Missing      State = "missing"          // not plugged in, or the port is named wrongly
	Claimed      State = "claimed-by-other" // another program reads it
	NoPermission State = "no-permission"
	Ambiguous    State = "ambiguous" // there more than once, with nothing to tell which
	Disabled     State = "disabled"  // not read because the configuration says so
	Failed       State = "failed"    // there, and not to be used
)

// Error says why a node cannot be read, and what a person can do about it.
type Error struct {
	State  State
	Reason string
	Remedy string
}

func (e *Error) Error() string { return e.Reason }

// Fail makes an Error of whatever a device gave. An *Error stays as it is.
func Fail(path string, err error) *Error {
	var known *Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV):
		return &Error{Missing, path + " is not there", "plug the device in, or correct port in the configuration"}
	case errors.Is(err, fs.ErrPermission):
		return noPermission(path)
	case errors.Is(err, syscall.EBUSY):
		return claimed(path)
	}
	return &Error{Failed, fmt.Sprintf("%s cannot be used: %v", path, cause(err)), "see that port in the configuration names the device"}
}

// Unplugged is the error of a node whose device went away while it was read.
func Unplugged(path string) *Error {
	return &Error{Missing, path + " was unplugged", "plug the device in again"}
}

func claimed(path string) *Error {
	return &Error{Claimed, path + " is in use by another program", "end that program: sudo posd doctor names it; ModemManager, brltty, a getty and a second posd are the usual ones"}
}

func noPermission(path string) *Error {
	who := strconv.Itoa(os.Geteuid())
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	e := &Error{NoPermission, fmt.Sprintf("%s may not be read by user %s", path, who), "give user " + who + " access to " + path + ": posd doctor says how"}
	if group := groupOf(path); group != "" {
		e.Remedy = fmt.Sprintf("add user %s to group %s, then start posd again: sudo usermod -aG %s %s", who, group, group, who)
	}
	return e
}

// groupOf gives the name of the group that may read and write a node, or "".
func groupOf(path string) string {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o060 != 0o060 {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Gid == 0 {
		return ""
	}
	gid := strconv.FormatUint(uint64(stat.Gid), 10)
	if group, err := user.LookupGroupId(gid); err == nil {
		return group.Name
	}
	return gid
}

// cause is what is beneath the operation and path that os puts before errors.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
