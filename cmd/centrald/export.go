package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"posd/central/server/admin"
	"posd/central/server/rows"
	"posd/cli"
)

func (p *program) exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write out all cards with their households",
		Long: `export writes a row for every card, loyalty and phone number: household (hhid),
kind and pseudonym (deident_tid), and "opted_out" where its owner is not to be
recognised; as of one moment, also while centrald serves. It is NDJSON, or CSV
with --format csv.

With --with-tids the numbers are written, too, in the clear: "centrald import"
then brings the same households into another central, whatever its keys. Such a
file is worth as much to a thief as your customers' cards: pipe it, rather than
keep it.

A file of --output has mode 0600, and is there only once it is whole.`,
		Example: `  centrald export --output cards.ndjson
  centrald export --with-tids | ssh new-central centrald import -`,
		Args: cobra.NoArgs,
	}
	kek := addKEKFlags(cmd)
	var r admin.ExportRequest
	var format, output string
	cmd.Flags().StringVar(&r.Tenant, "tenant", "", "the retailer (only needed where there are several)")
	cmd.Flags().StringVar(&format, "format", "", "ndjson or csv (default: as the name of --output says, else ndjson)")
	cmd.Flags().StringVar(&output, "output", "-", "the file to be written; - is standard output")
	cmd.Flags().BoolVar(&r.WithTIDs, "with-tids", false, "write the numbers, too, in the clear")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if r.Format, err = rows.FormatOf(format, output); err != nil {
			return cli.Usagef("%v", err)
		}
		if r.WithTIDs && output == "-" && cli.IsTerminal(p.env.Stdout) {
			return cli.Usagef("numbers are not shown on a terminal: give --output, or a pipe")
		}
		return p.export(cmd.Context(), kek, r, output)
	}
	return cmd
}

func (p *program) export(ctx context.Context, kek *kekFlags, r admin.ExportRequest, output string) error {
	if r.WithTIDs {
		fmt.Fprintln(p.env.Stderr, "centrald: warning: the numbers of cards are written in the clear; the audit log says so")
	}
	c, err := p.admin(ctx, kek)
	if err != nil {
		return err
	}
	defer c.Close()
	lines := &lineCounter{}
	err = p.writeWhole(output, func(out io.Writer) error {
		lines.out = out
		return c.Pour(ctx, "export", r, lines)
	})
	if errors.Is(err, admin.ErrMisuse) {
		return cli.Usagef("%v", err)
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if r.Format == rows.CSV {
		lines.count--
	}
	fmt.Fprintf(p.env.Stderr, "%d cards written.\n", lines.count)
	return nil
}

type lineCounter struct {
	out   io.Writer
	count int
}

func (l *lineCounter) Write(b []byte) (int, error) {
	l.count += bytes.Count(b, []byte{'\n'})
	return l.out.Write(b)
}

// writeWhole has a new file of mode 0600 written, which is there only once it is whole;
// "-" is standard output.
func (p *program) writeWhole(path string, write func(io.Writer) error) (err error) {
	if path == "-" {
		return write(p.env.Stdout)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s exists already: it is not overwritten", path), err)
	}
	f, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err = f.Chmod(0o600); err == nil {
		err = write(f)
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		os.Remove(path + ".part")
	}
	return err
}
