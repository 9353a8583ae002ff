// Command guest runs in the guest of the tests on real kernel devices, and runs
// there what the host asks for over the port of virtio-serial that is called agent.
package main

import (
	"log"
	"os"
	"time"

	"posd/vm/agent"
)

const port = "/dev/virtio-ports/agent"

func main() {
	for {
		// The port comes with its module, and ends while no host is connected, as
		// after a snapshot: nothing tells when that changes.
		if err := serve(); os.IsNotExist(err) {
			log.Print(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func serve() error {
	f, err := os.OpenFile(port, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return agent.Serve(f)
}
