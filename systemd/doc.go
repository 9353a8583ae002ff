// Package systemd holds the units, users and first configuration with which the
// three programs are installed under systemd; their device rules are in udev/
// beside it. It has no code but tests, which hold these files and the programs
// together.
package systemd
