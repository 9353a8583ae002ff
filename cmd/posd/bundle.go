package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/drivers/hotplug"
	"posd/lane/api"
	"posd/technician"
)

func bundleCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bundle [FILE]",
		Short: "Put what a bug report needs into one archive, without card data",
		Long: `Put what a bug report needs into one archive (tar, gzip): versions, configuration,
status, devices with their statistics and descriptors, what the doctor finds, the
log of posd, and what the kernel said of USB. What could be the number of a card is
masked in all of it. Keys, certificates and the journal are left out. Run it as root
for the logs.`,
		Example: `  sudo posd bundle
  posd bundle lane3.tar.gz`,
		Args: cobra.MaximumNArgs(1),
	}
	client, asJSON := socketOf(cmd), cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		name := "posd-bundle-" + time.Now().Format("20060102-150405") + ".tar.gz"
		if len(args) > 0 {
			name = args[0]
		}
		if name == "-" {
			return cli.Usagef("an archive is written to a file: name one")
		}
		parts := collect(cmd.Context(), c, cmd.Flag("config").Value.String())
		if err := writeBundle(name, parts); err != nil {
			return err
		}
		return tellBundle(cmd, env, name, parts, *asJSON)
	}
	return cmd
}

func writeBundle(name string, parts []technician.Part) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return cli.Usagef("%s is there already: name another file", name)
	}
	if err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			os.Remove(name)
		}
	}()
	return technician.WriteBundle(f, parts, time.Now())
}

// bundlePart is what is told of a part.
type bundlePart struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
	Error string `json:"error,omitempty"`
}

func tellBundle(cmd *cobra.Command, env cli.Env, name string, parts []technician.Part, asJSON bool) error {
	told := []bundlePart{}
	for _, p := range parts {
		t := bundlePart{Name: p.Name, Bytes: len(p.Text)}
		if p.Err != nil {
			t.Error = p.Err.Error()
		}
		told = append(told, t)
	}
	if asJSON {
		return cli.PrintJSON(cmd.OutOrStdout(), map[string]any{"file": name, "parts": told})
	}
	p, t := env.Colour(env.Stdout), cli.NewTable("PART", "BYTES", "")
	for _, part := range told {
		t.Row(part.Name, part.Bytes, p.Doubtful(part.Error))
	}
	if err := t.Print(cmd.OutOrStdout()); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "\n%s is written. Look into it before you send it: tar xzf %s\n", cli.Clean(name), cli.Clean(name))
	return err
}

// collect gathers the parts. What is not to be had says why.
func collect(ctx context.Context, c *api.Client, config string) []technician.Part {
	parts := []technician.Part{
		asked("version.json", func() (any, error) { return cli.ReadVersion("posd"), nil }),
		asked("status.json", func() (any, error) { return c.Status(ctx) }),
		asked("devices.json", func() (any, error) { return c.Devices(ctx) }),
		asked("nodes.json", func() (any, error) { return hotplug.Scan("/sys") }),
		asked("doctor.json", func() (any, error) { return examine(ctx, c, config, "") }),
		file("posd.toml", config),
		file("os-release", "/etc/os-release"),
		file("kernel", "/proc/version"),
	}
	for _, c := range [][]string{
		{"log.txt", "journalctl", "--unit=posd", "--no-pager", "--output=short-iso-precise", "--lines=5000"},
		{"kernel.txt", "journalctl", "--dmesg", "--no-pager", "--output=short-iso-precise", "--lines=2000", "--grep=usb|hid|tty|input|cdc_acm"},
		{"unit.txt", "systemctl", "status", "--no-pager", "--full", "posd.service", "posd.socket"},
	} {
		parts = append(parts, ran(ctx, c[0], c[1:]))
	}
	return parts
}

func asked(name string, ask func() (any, error)) technician.Part {
	v, err := ask()
	if err != nil {
		return technician.Part{Name: name, Err: err}
	}
	text, err := json.MarshalIndent(v, "", "  ")
	return technician.Part{Name: name, Text: append(text, '\n'), Err: err}
}

func file(name, path string) technician.Part {
	text, err := os.ReadFile(path)
	return technician.Part{Name: name, Text: text, Err: err}
}

// runWithin is how long a command may take.
const runWithin = 20 * time.Second

func ran(ctx context.Context, name string, command []string) technician.Part {
	ctx, cancel := context.WithTimeout(ctx, runWithin)
	defer cancel()
	text, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if len(text) > 0 { // systemctl status has its own opinion of what a failure is
		err = nil
	}
	return technician.Part{Name: name, Text: text, Err: err}
}
