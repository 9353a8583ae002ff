package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/drivers"
	"posd/drivers/hotplug"
	"posd/drivers/usbfs/reader"
)

// usbReadCommand is what a running posd starts for a USB device that is read past
// its kernel driver.
func usbReadCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "usb-read NODE INTERFACE",
		Short:   "Read a USB device for the posd that has started this",
		Example: "  posd usb-read /dev/bus/usb/001/004 0",
		Hidden:  true,
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			number, err := strconv.Atoi(args[1])
			if err != nil {
				return cli.Usagef("%q is no number of an interface", args[1])
			}
			if err := guardMemory(); err != nil {
				return err
			}
			socket := os.NewFile(3, "socket")
			if _, err := socket.Stat(); err != nil {
				return errors.New("read a USB device: only a running posd can have it read")
			}
			return reader.Run(args[0], number, socket)
		},
	}
}

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
