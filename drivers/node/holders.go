package node

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Holder is a process that has a node open.
type Holder struct {
	PID     int
	Command string // its name, of up to 15 characters
}

// Holders gives the processes that have the node at path open, the caller's own
// too, which is who could have locked or grabbed it. procfs is where procfs is
// mounted: /proc. Only root may look into the processes of others: for the rest,
// the error says how many could not be looked into, beside the holders that
// were found.
func Holders(procfs, path string) ([]Holder, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("find holders: %w", err)
	}
	node, err := os.Stat(real)
	if err != nil {
		return nil, fmt.Errorf("find holders: %w", err)
	}
	procs, err := os.ReadDir(procfs)
	if err != nil {
		return nil, fmt.Errorf("find holders: %w", err)
	}
	var all []Holder
	hidden := 0
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join(procfs, p.Name())
		switch holds, err := holds(dir, real, node); {
		case holds:
			all = append(all, Holder{pid, command(dir)})
		case err != nil:
			hidden++
		}
	}
	if hidden > 0 {
		err = fmt.Errorf("find holders of %s: %d processes could not be looked into: %w: ask as root", path, hidden, fs.ErrPermission)
	}
	return all, err
}

// holds reports whether a process has the node open. The error is that it may
// not be looked into; one that ends meanwhile holds nothing.
func holds(dir, real string, node os.FileInfo) (bool, error) {
	fds, err := os.ReadDir(filepath.Join(dir, "fd"))
	if os.IsPermission(err) {
		return false, err
	}
	for _, fd := range fds {
		link := filepath.Join(dir, "fd", fd.Name())
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		if target == real || strings.HasPrefix(target, "/dev/") && same(link, node) {
			return true, nil
		}
	}
	return false, nil
}

// same reports whether a link of fd leads to the node, by whatever name: a
// container may have a /dev of its own.
func same(link string, node os.FileInfo) bool {
	other, err := os.Stat(link)
	if err != nil {
		return false
	}
	a, ok := node.Sys().(*syscall.Stat_t)
	b, ok2 := other.Sys().(*syscall.Stat_t)
	device := ok && ok2 && node.Mode()&other.Mode()&fs.ModeCharDevice != 0 && a.Rdev == b.Rdev
	return device || os.SameFile(node, other)
}

func command(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "comm"))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(b), "\n")
}
