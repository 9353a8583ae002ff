package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Version is what a program was built from.
type Version struct {
	Program  string `json:"program"`
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source; "+" at its end: with local changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// ReadVersion tells the version of the running program.
func ReadVersion(program string) Version {
	v := Version{Program: program, Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+"
		}
	}
	if v.Revision != "" {
		v.Revision += dirty
	}
	return v
}

func (v Version) String() string {
	text := fmt.Sprintf("%s %s (%s, %s)", v.Program, v.Version, v.Go, v.Platform)
	if v.Revision != "" {
		text += "\nrevision " + v.Revision
	}
	return text
}

func versionCommand(program string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Example: "  " + program + " version",
		Args:    cobra.NoArgs,
	}
	asJSON := JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		v := ReadVersion(program)
		if *asJSON {
			return PrintJSON(cmd.OutOrStdout(), v)
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), v)
		return err
	}
	return cmd
}
