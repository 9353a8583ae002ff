// Package vm proves the lane's devices on real kernel nodes: its tests run posd
// under its own units, with the shipped udev rules, in a Debian guest under qemu,
// and plug in emulated hardware there.
//
// The README says how to run them. Without qemu, or outside of make test-vm, they
// are skipped.
package vm
