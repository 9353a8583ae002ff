package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"posd/central/server/admin"
	"posd/central/server/importer"
	"posd/central/server/rows"
	"posd/cli"
)

type importFlags struct {
	tenant, format, rejects string
	rate                    int
	restart, json           bool
	kek                     *kekFlags
}

func (p *program) importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take in cards and the households that they belong to",
		Long: `import puts any number of cards, loyalty and phone numbers into households. A row
of the file is a JSON object on a line, or a line of a CSV file that begins with
a line of headings, with these fields:

  {"household":"hh:...","deident_tid":"d1:..."}            a card seen before
  {"household":"hh:...","kind":"loyalty","tid":"0001..."}  any card or number
  {"family":"smith","kind":"payment","tid":"..."}          a family of this file
  {"hhid":"hh:...","kind":"phone","tid":"1415..."}         a household that is made
                                                           if there is none: see export

Numbers are in canonical form: a payment card's digits, a loyalty number behind
the four digits of its issuer, a telephone number as E.164. Rows with the same
family share a household: that of the first one's card, if that was known before,
else a new one. A card stays where its last row puts it. "opted_out":true has its
owner recognised no more. "-" is standard input.

Bad rows are told by their line, never by what is in it, and written to the file
of --rejects byte for byte; the others are done. Baskets that were sent keep their
household. A running centrald answers with the new households within a second.

What is done stays when import is stopped: the same command with the same file goes
on behind it. Input from a pipe must be the same from its beginning; --restart
forgets how far it was.

The first import into an empty database is sorted first, and so much faster than
later ones. Those leave others their turn every 2000 rows; --rate slows them down.

--json prints an object a bad row: line, error; and at the end one with added,
moved, kept, rejected, seconds, rows_per_second.`,
		Example: `  centrald import families.ndjson
  zcat crm.csv.gz | centrald import - --format csv --rejects bad.csv --rate 5000`,
		Args: cobra.ExactArgs(1),
	}
	f := importFlags{kek: addKEKFlags(cmd)}
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON instead of text")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "the retailer (only needed where there are several)")
	cmd.Flags().StringVar(&f.format, "format", "", "ndjson or csv (default: as the file's name says; of standard input ndjson)")
	cmd.Flags().StringVar(&f.rejects, "rejects", "", "file that bad rows are written to, of mode 0600: they may hold numbers")
	cmd.Flags().IntVar(&f.rate, "rate", 0, "rows a second at most, into a database that holds cards (0: as many as it takes)")
	cmd.Flags().BoolVar(&f.restart, "restart", false, "forget how far an earlier import of the same was")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.rate < 0 {
			return cli.Usagef("--rate is a number of rows")
		}
		if f.kek.passphrase && args[0] == "-" {
			return cli.Usagef("--passphrase reads standard input, too: give a file instead of -")
		}
		return p.importFile(cmd.Context(), args[0], f)
	}
	return cmd
}

func (p *program) importFile(ctx context.Context, path string, f importFlags) error {
	format, err := rows.FormatOf(f.format, path)
	if err != nil {
		return cli.Usagef("%v", err)
	}
	in, err := p.input(path)
	if err != nil {
		return err
	}
	defer in.Close()
	content, size, err := contentOf(in)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	c, err := p.admin(ctx, f.kek)
	if err != nil {
		return err
	}
	defer c.Close()
	t := &taker{p: p, json: f.json, rejects: rejects{path: f.rejects}, bar: p.progressBar(size)}
	defer t.rejects.close()
	request := admin.ImportRequest{Tenant: f.tenant, File: path, Content: content, Format: format, Rate: f.rate, Forget: f.restart}
	err = c.Stream(ctx, "import", request, in, t.event)
	t.bar.clear()
	if errors.Is(err, admin.ErrMisuse) {
		return cli.Usagef("%v", err)
	}
	if err != nil {
		return fmt.Errorf("import %s: %w", path, err)
	}
	return t.end()
}

// contentOf names what is in a regular file, and tells its size. Other input has no name.
func contentOf(in io.Reader) (hash string, size int64, err error) {
	file, ok := in.(*os.File)
	if !ok {
		return "", 0, nil
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", 0, err
	}
	h := sha256.New()
	buf := make([]byte, 256<<10)
	defer clear(buf)
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{file}, buf); err != nil {
		return "", 0, err
	}
	_, err = file.Seek(0, io.SeekStart)
	return fmt.Sprintf("%x", h.Sum(nil)), info.Size(), err
}

// taker takes what an import tells.
type taker struct {
	p       *program
	json    bool
	rejects rejects
	bar     *progressBar
	result  *importer.Result
}

func (t *taker) event(line []byte) error {
	defer clear(line) // a bad row may hold a number
	var e importer.Event
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	switch {
	case e.Begun != nil:
		return t.begun(e.Begun)
	case e.Rejected != nil:
		defer clear(e.Rejected.Text)
		return t.rejected(e.Rejected)
	case e.Progress != nil:
		t.bar.show(*e.Progress)
	case e.Done != nil:
		t.result = e.Done
	}
	return nil
}

func (t *taker) begun(b *importer.Begun) error {
	if b.Resumed && b.Lines > 0 && !t.json {
		fmt.Fprintf(t.p.env.Stderr, "centrald: going on where an earlier import was stopped\n")
	}
	return t.rejects.open(b)
}

// badRow is a bad row as --json prints it.
type badRow struct {
	Line  uint64 `json:"line"`
	Error string `json:"error"`
}

func (t *taker) rejected(r *importer.Rejected) error {
	if err := t.rejects.add(r.Text); err != nil {
		return err
	}
	if t.json {
		return cli.PrintJSONLine(t.p.env.Stdout, badRow{r.Line, r.Reason})
	}
	t.bar.clear()
	fmt.Fprintf(t.p.env.Stderr, "centrald: line %d: %s\n", r.Line, r.Reason)
	return nil
}

func (t *taker) end() error {
	r := t.result
	if r == nil {
		return errors.New("import: the answer of centrald ends early: give the same command again")
	}
	if err := t.rejects.close(); err != nil {
		return err
	}
	if t.json {
		if err := cli.PrintJSONLine(t.p.env.Stdout, r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(t.p.env.Stdout, "%d added, %d moved, %d there already, %d rejected: %.0f rows/s.\n", r.Added, r.Moved, r.Kept, r.Rejected, r.Rate)
	}
	if r.Rejected > 0 {
		return cli.ErrFailed
	}
	return nil
}

// rejects is the file of bad rows, if one is wanted. It is made for the first of them.
type rejects struct {
	path     string
	begun    *importer.Begun
	file     *os.File
	headings bool
}

// open makes sure that no other file is written to. That of an earlier run is continued,
// or, if the import begins anew, written anew.
func (r *rejects) open(b *importer.Begun) error {
	r.begun = b
	if r.path == "" {
		return nil
	}
	info, err := os.Stat(r.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Size() > 0 && !b.Resumed:
		return fmt.Errorf("%s exists already: choose another file for --rejects", r.path)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s has mode %v: bad rows may hold numbers: chmod 600 %s", r.path, info.Mode(), r.path)
	}
	if b.Lines == 0 {
		return os.Truncate(r.path, 0)
	}
	r.headings = info.Size() > 0
	return nil
}

func (r *rejects) add(text []byte) (err error) {
	if r.path == "" {
		return nil
	}
	if r.file == nil {
		if r.file, err = os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
			return err
		}
		if !r.headings {
			_, err = r.file.Write(r.begun.Headings)
		}
	}
	if err == nil {
		_, err = r.file.Write(text)
	}
	if n := len(text); err == nil && n > 0 && text[n-1] != '\n' {
		_, err = r.file.Write([]byte{'\n'})
	}
	return err
}

func (r *rejects) close() error {
	if r.file == nil {
		return nil
	}
	err := errors.Join(r.file.Sync(), r.file.Close())
	r.file = nil
	return err
}
