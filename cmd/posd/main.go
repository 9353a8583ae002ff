// Command posd is one checkout lane: it reads scanners, card readers and
// keypads, finds out which household a shopper belongs to without keeping a
// card number, and hands each basket, tagged with household id and pseudonym,
// to the shop's POS main computer.
//
// It is set up with a configuration and "posd enroll", and runs as "posd run".
// The technician's commands ask the running daemon through its socket, or work
// without one.
package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/config"
	"posd/lane/api"
)

func main() { os.Exit(cli.Main(root, cli.OS())) }

func root(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "posd",
		Short: "Read a checkout lane's devices, and tag its baskets by household",
		Long: `posd is one checkout lane. It reads barcode scanners, card readers and keypads,
asks central whose card was shown, and sends each basket with the household's id
(HHID) and the pseudonym of the card (DeIdentTID) to the shop's POS main
computer. No card number is kept, logged or sent in the clear.`,
		Example: `  posd config check
  posd enroll --central https://central.example:8444
  posd run
  posd status`,
	}
	cmd.AddCommand(
		runCommand(env), configCommand(), enrollCommand(env),
		statusCommand(env), devicesCommand(env), basketCommand(), outboxCommand(), traceCommand(), monitorCommand(env),
		explainCommand(), newDecodeCommand(env), newSimulateCommand(env), udevCommand(), usbReadCommand(),
		identifyCommand(env), checkCommand(env), recordCommand(env), replayCommand(env), doctorCommand(env), bundleCommand(env),
	)
	return cmd
}

// Names within the state directory.
const (
	journalName     = "journal.db"
	manifestName    = "manifest.json"
	credentialsName = "credentials"
	statisticsName  = "statistics.json"
)

func credentialsDir(c config.Config) string { return filepath.Join(c.StateDir, credentialsName) }

// configFlag gives a command the flag --config.
func configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("config", config.DefaultPath, "the lane's configuration")
}

// socketOf gives a command a client of the daemon. A machine without a
// configuration has the default socket.
func socketOf(cmd *cobra.Command) func() (*api.Client, error) {
	path := configFlag(cmd)
	return func() (*api.Client, error) {
		c, err := loadConfig(*path)
		if errors.Is(err, fs.ErrNotExist) && !cmd.Flags().Changed("config") {
			c, err = config.Config{API: config.API{Socket: config.DefaultSocket}}, nil
		}
		if err != nil {
			return nil, err
		}
		return api.NewClient(c.API.Socket), nil
	}
}
