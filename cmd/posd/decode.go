package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/drivers"
	"posd/drivers/driver"
	"posd/drivers/recording"
	"posd/technician"
)

func newDecodeCommand(env cli.Env) *cobra.Command {
	var list bool
	var set []string
	cmd := &cobra.Command{
		Use:   "decode DRIVER|auto [FILE]",
		Short: "Replay a recording through a driver",
		Long: `Replay what a device sent through the driver that reads it, without a daemon,
and print what came of it as JSON, one event a line.

Settings are those of a [[device]] in the configuration, and come from the
recording's own "# set:" lines and from --set, which goes before them. The rules
by which numbers are read are set as country, payment_cards, loyalty.issuer and
loyalty.patterns, and are US and true without.

auto tries the drivers in the order of --list, and takes the first one that
claims the device and makes sense of all of the recording; where none does, the
one that makes sense of the most. An error makes no sense, and neither does a
label of unknown symbology.

The exit status is 0 if everything was read, 1 if there were errors, and 2 if
the driver, a setting or the recording cannot be used.`,
		Example: `  posd decode auto scanner.rec
  posd decode serial-scanner --set ids=aim --set terminator=CR < scanner.rec
  posd decode --list`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if list {
				return listDrivers(env.Stdout, len(args))
			}
			if len(args) == 0 {
				return cli.Usagef("say which driver, or auto")
			}
			if args[0] != drivers.Auto {
				if _, err := drivers.Find(args[0]); err != nil {
					return cli.Usagef("%v", err)
				}
			}
			rec, name, err := readRecording(env, args[1:])
			if err != nil {
				return err
			}
			for _, s := range set {
				key, value, ok := strings.Cut(s, "=")
				if !ok || key == "" {
					return cli.Usagef("--set %q is not key=value", s)
				}
				driver.Settings(rec.Settings).Set(key, value)
			}
			return decode(env.Stdout, args[0], rec, name)
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "name the drivers, what they read and their settings")
	cmd.Flags().StringArrayVar(&set, "set", nil, "a setting of the device, as key=value; may be repeated")
	return cmd
}

// readRecording reads the recording that the arguments name.
func readRecording(env cli.Env, args []string) (rec recording.Recording, name string, err error) {
	input, name := env.Stdin, "standard input"
	if len(args) > 0 && args[0] != "-" {
		name = args[0]
		file, err := os.Open(name)
		if err != nil {
			return rec, name, cli.Usagef("%v", err)
		}
		defer file.Close()
		input = file
	}
	text, err := io.ReadAll(io.LimitReader(input, recording.MaxBytes+1))
	if err != nil {
		return rec, name, cli.Usagef("read %s: %v", name, err)
	}
	if rec, err = recording.Parse(text); err != nil {
		return rec, name, cli.Usagef("%s: %v", name, err)
	}
	return rec, name, nil
}

// decode prints the events of a recording.
func decode(w io.Writer, driver string, rec recording.Recording, name string) error {
	o, err := drivers.Replay(rec, driver)
	if err != nil {
		return cli.Usagef("%s: %v", name, err)
	}
	failed := false
	for _, e := range o.Events {
		failed = failed || e.Failed()
		if err := cli.PrintJSONLine(w, technician.Redact(e)); err != nil {
			return err
		}
	}
	if failed {
		return cli.ErrFailed
	}
	return nil
}

// listDrivers prints the table of drivers.
func listDrivers(w io.Writer, args int) error {
	if args > 0 {
		return cli.Usagef("--list takes no driver")
	}
	table := cli.NewTable("DRIVER", "ROLE", "TRANSPORT", "READS")
	for _, d := range drivers.Table() {
		table.Row(d.Name, d.Role, transports(d), d.Doc)
	}
	if err := table.Print(w); err != nil {
		return err
	}
	for _, d := range drivers.Table() {
		if len(d.Settings) == 0 {
			continue
		}
		fmt.Fprintf(w, "\nSettings of %s:\n", d.Name)
		settings := cli.NewTable("  KEY", "DEFAULT", "VALUES", "MEANING")
		for _, s := range d.Settings {
			settings.Row("  "+s.Key, s.Default, s.Values, s.Doc)
		}
		if err := settings.Print(w); err != nil {
			return err
		}
	}
	return nil
}

func transports(d driver.Driver) string {
	var names []string
	for _, t := range d.Transports {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}
