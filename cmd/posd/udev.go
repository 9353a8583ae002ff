package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/drivers"
	"posd/drivers/hotplug"
)

// udevCommand is what the udev rules ask about HID devices of makers that they
// do not know.
func udevCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "udev-properties DEVPATH",
		Short:   "Tell udev whether a device says of itself that it is a scanner or reader",
		Example: "  posd udev-properties /devices/pci0000:00/.../hidraw/hidraw0",
		Hidden:  true,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, ok, err := hotplug.Look("/sys", args[0])
			if err != nil {
				return err
			}
			if role := drivers.RoleOf(n); ok && role != "" {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "ID_POS_DEVICE=1\nID_POS_ROLE=%s\n", role)
				return err
			}
			return cli.ErrFailed
		},
	}
}
