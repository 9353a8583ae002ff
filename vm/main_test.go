package vm

import (
	"os"
	"testing"
)

// What tells where the tests run, and how.
const (
	imageKey = "POSD_VM_IMAGE" // on the host: the folder of the guest's image
	keepKey  = "POSD_VM_KEEP"  // on the host: whether guests are kept at the end, to look around
	guestKey = "POSD_VM_GUEST" // in the guest
)

// shared is the frozen guest, of which each test gets a copy.
var shared host

func TestMain(m *testing.M) {
	code := m.Run()
	shared.end()
	os.Exit(code)
}

// inGuest runs f in a guest of its own: on the host it thaws one, and runs there
// the very test that calls this.
func inGuest(t *testing.T, f func(g *guest)) {
	t.Helper()
	switch {
	case os.Getenv(guestKey) != "":
		f(newGuest(t))
	case os.Getenv(imageKey) != "":
		t.Parallel()
		shared.run(t)
	default:
		t.Skip("real kernel devices: run by make test-vm")
	}
}
