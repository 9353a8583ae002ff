//go:build race

package server

// racing: the race detector has pools forget things at random, so that allocations say
// nothing.
const racing = true
