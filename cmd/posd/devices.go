package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/lane/api"
)

// watchEvery is how often devices are asked for with --watch.
const watchEvery = time.Second

func devicesCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "Tell which devices are being read, and why others are not",
		Long: `Tell of each device of the running posd: those of the configuration, those that it
has found by itself, and those that it does not read. What is counted goes on since
the device was installed. With --watch it goes on telling what changes until it is
interrupted; with --json too, each time is a line.`,
		Example: `  posd devices
  posd devices --watch
  posd devices --json`,
		Args: cobra.NoArgs,
	}
	client, asJSON := socketOf(cmd), cli.JSONFlag(cmd)
	watch := cmd.Flags().Bool("watch", false, "go on telling what changes")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *watch {
			return watchDevices(cmd.Context(), c, out, env.Colour(env.Stdout), *asJSON)
		}
		devices, err := c.Devices(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(out, devices)
		}
		return printDevices(out, env.Colour(env.Stdout), devices)
	}
	return cmd
}

// watchDevices tells of the devices whenever something about them is new, also
// over a restart of posd. On a terminal what was told before is replaced.
func watchDevices(ctx context.Context, c *api.Client, out io.Writer, p cli.Palette, asJSON bool) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for told := ""; ; {
		text, err := devicesNow(ctx, c, p, asJSON)
		if ctx.Err() != nil {
			return nil // interrupting it is how it ends
		}
		if err != nil {
			return err
		}
		if text != told {
			told = text
			if err := retell(out, told, asJSON); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// devicesNow gives what there is to tell now.
func devicesNow(ctx context.Context, c *api.Client, p cli.Palette, asJSON bool) (string, error) {
	var text bytes.Buffer
	devices, err := c.Devices(ctx)
	switch {
	case errors.Is(err, api.ErrNotRunning) && asJSON:
		err = cli.PrintJSONLine(&text, map[string]string{"error": err.Error()})
	case errors.Is(err, api.ErrNotRunning):
		return err.Error() + "\n", nil
	case err != nil:
		return "", err
	case asJSON:
		err = cli.PrintJSONLine(&text, devices)
	default:
		err = printDevices(&text, p, devices)
	}
	return text.String(), err
}

// retell writes text in the place of what was written before, on a terminal.
func retell(out io.Writer, text string, asJSON bool) error {
	switch {
	case asJSON:
	case cli.IsTerminal(out):
		text = "\x1b[H\x1b[2J" + text
	default:
		text = time.Now().Format(time.TimeOnly) + "\n" + text + "\n"
	}
	_, err := io.WriteString(out, text)
	return err
}

func printDevices(w io.Writer, p cli.Palette, devices []api.Device) error {
	if len(devices) == 0 {
		_, err := fmt.Fprintln(w, "No devices are configured, and none was found.")
		return err
	}
	t := cli.NewTable("DEVICE", "ROLE", "DRIVER", "STATE", "GOOD", "ERRORS", "LOST", "LAST READ", "NODE", "IS")
	for _, d := range devices {
		t.Row(d.Name, d.Role, d.Driver, stateText(p, d.State), d.Good, d.Errors, d.Dropped, local(d.LastRead), d.Port, about(d))
	}
	if err := t.Print(w); err != nil {
		return err
	}
	for _, d := range devices {
		if d.Reason != "" {
			fmt.Fprintf(w, "%s: %s\n", cli.Clean(d.Name), cli.Clean(joined(d.Reason, d.Remedy)))
		}
	}
	return nil
}

func stateText(p cli.Palette, state string) cli.Text {
	switch state {
	case api.Reading:
		return p.Good(state)
	case api.Disabled:
		return p.Doubtful(state)
	}
	return p.Bad(state)
}

// about is what a device is called by itself, and by its id.
func about(d api.Device) string {
	if strings.HasPrefix(d.ID, "0000:") { // on the board
		return d.Product
	}
	return strings.TrimSpace(d.Product + " " + d.ID)
}
