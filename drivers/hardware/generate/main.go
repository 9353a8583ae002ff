// Command generate writes the files that package hardware gives, for go
// generate.
package main

import (
	"fmt"
	"os"

	"posd/drivers/hardware"
)

func main() {
	page, err := hardware.Page("../testdata")
	if err == nil {
		err = write(map[string]string{
			"../../udev/70-posd.rules": hardware.Rules(), "../../udev/70-posd.hwdb": hardware.HWDB(), "../../docs/hardware.md": page,
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(files map[string]string) error {
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
