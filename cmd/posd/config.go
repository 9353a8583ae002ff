package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/config"
	"posd/drivers"
	"posd/drivers/driver"
	"posd/drivers/hotplug"
	"posd/lane"
	"posd/tid"
)

// loadConfig reads the configuration, and has the packages that it is for check
// it.
func loadConfig(path string) (config.Config, error) {
	return config.Load(path, config.Checks{
		Country: tid.KnowsCountry,
		Issuer:  tid.CheckIssuer,
		ID: func(id string) error {
			_, err := hotplug.ParseID(id)
			return err
		},
		Device: func(d config.Device, rest config.Config) error { return deviceConfig(d).Check(rules(rest)) },
	})
}

// rules are which numbers the shop reads.
func rules(c config.Config) tid.Rules {
	return tid.Rules{Payment: c.PaymentCards, Country: c.Country, Issuer: c.Loyalty.Issuer, Loyalty: c.Loyalty.Patterns}
}

func deviceConfig(d config.Device) drivers.DeviceConfig {
	id, _ := hotplug.ParseID(d.ID) // it has been checked
	return drivers.DeviceConfig{
		Name: d.Name, Role: driver.Role(d.Role), Driver: d.Driver, Port: d.Port, ID: id, Transport: driver.Transport(d.Transport),
		Disabled: d.Disabled, Line: d.Line, Settings: d.Settings,
	}
}

func deviceConfigs(c config.Config) []drivers.DeviceConfig {
	var devices []drivers.DeviceConfig
	for _, d := range c.Devices {
		devices = append(devices, deviceConfig(d))
	}
	return devices
}

func laneConfig(c config.Config) lane.Config {
	return lane.Config{
		Rules:          rules(c),
		Priority:       c.Basket.Priority,
		OpenByPOS:      c.Basket.OpenByPOS,
		CloseLabels:    c.Basket.CloseLabels,
		RandomWeight:   c.Labels.RandomWeight,
		SameItemWindow: c.Basket.SameItemWindow,
		AbandonAfter:   c.Basket.AbandonAfter,
		AnonymousAfter: c.Basket.AnonymousAfter,
		CloseGuard:     c.Basket.CloseGuard,
		HoldFor:        c.Basket.HoldFor,
		KeepFor:        c.Basket.KeepFor,
		AnswerWithin:   c.Central.Timeout,
	}
}

func configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look after the configuration", Example: "  posd config check"}
	check := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and say what is wrong with it",
		Long: `Check the configuration without touching a device. Everything that is wrong is
told at once, each with file, line, column and key.`,
		Example: `  posd config check
  posd config check --config ./posd.toml`,
		Args: cobra.NoArgs,
	}
	path := configFlag(check)
	check.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(*path)
		if err != nil {
			return err
		}
		return printConfig(cmd, *path, c)
	}
	cmd.AddCommand(check)
	return cmd
}

func printConfig(cmd *cobra.Command, path string, c config.Config) error {
	out := cmd.OutOrStdout()
	cards := "payment cards are not read"
	if c.PaymentCards {
		cards = "payment cards are read: this lane is in the scope of PCI DSS"
	}
	fmt.Fprintf(out, "%s is in order: country %s, %s, %d loyalty patterns.\n", cli.Clean(path), c.Country, cards, len(c.Loyalty.Patterns))
	if c.Posmain.URL == "" {
		fmt.Fprintln(out, "There is no posmain.url: baskets wait on this lane.")
	}
	switch {
	case len(c.Devices) == 0 && !c.Discover:
		fmt.Fprintln(out, "There is no [[device]], and discover = false: nothing is read.")
		return nil
	case len(c.Devices) == 0:
		fmt.Fprintln(out, "There is no [[device]]: what is certainly a scanner, card reader or keypad is read.")
		return nil
	}
	table := cli.NewTable("DEVICE", "ROLE", "DRIVER", "PORT OR ID")
	for _, d := range c.Devices {
		table.Row(d.Name, orAuto(d.Role), orAuto(d.Driver), d.Port+d.ID)
	}
	return table.Print(out)
}

func orAuto(s string) string {
	if s == "" {
		return "(by itself)"
	}
	return s
}
