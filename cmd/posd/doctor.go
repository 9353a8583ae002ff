package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"slices"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/drivers"
	"posd/drivers/driver"
	"posd/drivers/hardware"
	"posd/drivers/hotplug"
	"posd/lane/api"
	"posd/technician"
)

func doctorCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what keeps devices from being read, and say how to mend it",
		Long: `Look for what keeps devices from being read: udev rules and groups that are missing,
nodes without permission, other programs that hold a port (ModemManager, brltty, a
login prompt, a second posd), modules that are not loaded; and ask the running posd
how its devices are. Each finding comes with the command that mends it. Nothing is
changed. As root it also names who holds a port. The exit status is 1 if there is a
problem.`,
		Example: `  posd doctor
  sudo posd doctor --json
  posd doctor --rules | sudo tee /etc/udev/rules.d/70-posd.rules`,
		Args: cobra.NoArgs,
	}
	client, asJSON := socketOf(cmd), cli.JSONFlag(cmd)
	who := cmd.Flags().String("user", "", "whom the devices are to be read by (default posd, or who you are)")
	rules := cmd.Flags().Bool("rules", false, "print the udev rules, and do nothing else")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *rules {
			_, err := io.WriteString(cmd.OutOrStdout(), hardware.Rules())
			return err
		}
		if _, err := user.Lookup(*who); *who != "" && err != nil {
			return cli.Usagef("there is no user %q", *who)
		}
		c, err := client()
		if err != nil {
			return err
		}
		findings, err := examine(cmd.Context(), c, cmd.Flag("config").Value.String(), *who)
		if err != nil {
			return err
		}
		if *asJSON {
			err = cli.PrintJSON(cmd.OutOrStdout(), map[string]any{"findings": findings})
		} else {
			err = printFindings(cmd.OutOrStdout(), env.Colour(env.Stdout), findings)
		}
		if err == nil && slices.ContainsFunc(findings, func(f technician.Finding) bool { return f.Severity == technician.Problem }) {
			err = cli.ErrFailed
		}
		return err
	}
	return cmd
}

// examine puts together what the doctor finds, and what the running posd says.
func examine(ctx context.Context, client *api.Client, config, who string) ([]technician.Finding, error) {
	nodes, err := hotplug.Scan("/sys")
	if err != nil {
		return nil, err
	}
	d := technician.Doctor{
		Root: "/", User: whoReads(who), Rules: hardware.Rules(), Nodes: nodes,
		Relevant: relevant(nil),
	}
	c, err := loadConfig(config)
	var findings []technician.Finding
	switch {
	case err == nil:
		d.Relevant = relevant(deviceConfigs(c))
		for _, dev := range c.Devices {
			if dev.Port != "" {
				d.Ports = append(d.Ports, dev.Port)
			}
		}
	case errors.Is(err, fs.ErrNotExist):
		findings = append(findings, technician.Finding{Check: "configuration", Severity: technician.Warning, Subject: config, Detail: "it is not there", Remedy: "write it: systemd/posd.toml of the sources is one, with every key"})
	default:
		findings = append(findings, technician.Finding{Check: "configuration", Severity: technician.Problem, Subject: config, Detail: "posd cannot start with it", Remedy: "posd config check --config " + config})
	}
	findings = append(findings, d.Examine()...)
	return append(running{client}.findings(ctx), findings...), nil
}

// relevant reports whether a node is of a device that is configured by its id, or
// certainly a scanner, card reader or keypad.
func relevant(devices []drivers.DeviceConfig) func(hotplug.Node) bool {
	return func(n hotplug.Node) bool {
		return drivers.RoleOf(n) != "" || slices.ContainsFunc(devices, func(d drivers.DeviceConfig) bool {
			usbfs := d.Transport == driver.USBFS
			return !d.Disabled && !d.ID.IsZero() && d.ID.Matches(n) && usbfs == (n.Subsystem == hotplug.USB)
		})
	}
}

// whoReads is whom the devices are to be read by: the daemon's user where there is
// one, and else who asks.
func whoReads(who string) string {
	if who != "" {
		return who
	}
	if _, err := user.Lookup("posd"); err == nil {
		return "posd"
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprint(os.Geteuid())
}

// findings are the devices of the running posd that are not read.
func (r running) findings(ctx context.Context) []technician.Finding {
	devices, err := r.devices(ctx)
	if err != nil {
		return []technician.Finding{{Check: "posd", Severity: technician.Warning, Detail: err.Error(), Remedy: "sudo systemctl start posd"}}
	}
	var all []technician.Finding
	for _, d := range devices {
		f := technician.Finding{Check: "device", Severity: technician.Good, Subject: d.Name, Detail: "it is being read at " + d.Port}
		switch d.State {
		case api.Reading:
		case api.Disabled:
			f.Severity, f.Detail, f.Remedy = technician.Warning, d.Reason, d.Remedy
		default:
			f.Severity, f.Detail, f.Remedy = technician.Problem, d.State+": "+d.Reason, d.Remedy
		}
		all = append(all, f)
	}
	return all
}

func printFindings(w io.Writer, p cli.Palette, findings []technician.Finding) error {
	bad := 0
	for _, f := range findings {
		mark := p.Good("✓")
		switch f.Severity {
		case technician.Problem:
			mark, bad = p.Bad("✗"), bad+1
		case technician.Warning:
			mark = p.Doubtful("!")
		}
		subject := f.Subject
		if subject != "" {
			subject = " " + subject
		}
		fmt.Fprintf(w, "%s %s%s: %s\n", mark, f.Check, cli.Clean(subject), cli.Clean(f.Detail))
		if f.Remedy != "" {
			fmt.Fprintf(w, "    %s\n", cli.Clean(f.Remedy))
		}
	}
	_, err := fmt.Fprintf(w, "\n%d looked at, %d problems.\n", len(findings), bad)
	return err
}
