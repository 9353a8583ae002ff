package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"posd/central/server/admin"
	"posd/central/server/directory"
	"posd/central/server/store"
	"posd/cli"
	"posd/identity"
	"posd/tid"
)

func (p *program) householdsLink() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "link",
		Short: "Put a card into a household",
		Long: `link puts a card that was seen before, told by its DeIdentTID, into a household;
or, with --file, any number of cards. A line of the file is a JSON object:

  {"household":"hh:...","deident_tid":"d1:..."}                a card seen before
  {"household":"hh:...","kind":"loyalty","tid":"0001..."}      any card or number
  {"family":"smith","kind":"payment","tid":"..."}              a family of this file

Numbers are in canonical form: a payment card's digits, a loyalty number behind
the four digits of its issuer, a telephone number as E.164. Lines with the same
family share a household, that of its first line. "-" is standard input.

Each line is done whole or not at all, by itself; bad ones are reported by
number. Household links are not made backwards: baskets that were sent keep
their household. A running centrald answers with the new household within a
second. --json prints an object a line: line, and household or error.`,
		Example: `  centrald households link --household hh:mfrggzdfmztwq --deident d1:mfrggzdfmztwq2lknnwg23tpoa
  centrald households link --file family.ndjson`,
		Args: cobra.NoArgs,
	}
	asJSON, kek := cli.JSONFlag(cmd), addKEKFlags(cmd)
	var household, deident, file, retailer string
	cmd.Flags().StringVar(&household, "household", "", "the household that the card is to belong to")
	cmd.Flags().StringVar(&deident, "deident", "", "the card's pseudonym (DeIdentTID)")
	cmd.Flags().StringVar(&file, "file", "", "NDJSON file of cards and households")
	cmd.Flags().StringVar(&retailer, "tenant", "", "the retailer (only needed where there are several)")
	cmd.MarkFlagsRequiredTogether("household", "deident")
	cmd.MarkFlagsMutuallyExclusive("file", "household")
	cmd.MarkFlagsOneRequired("file", "household")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var one *row
		if file == "" {
			var err error
			if one, err = oneRow(household, deident); err != nil {
				return cli.Usagef("%v", err)
			}
		}
		if one != nil {
			return p.linkOne(cmd.Context(), retailer, one, *asJSON)
		}
		st, i, err := p.open(cmd.Context())
		if err != nil {
			return err
		}
		defer st.Close()
		t, err := tenant(cmd.Context(), st, retailer)
		if err != nil {
			return err
		}
		act := store.Act{At: time.Now(), Action: "households link", Detail: map[string]string{"file": file}}
		l := &linker{p: p, act: act, store: st, tenant: t, asJSON: *asJSON, families: map[string]identity.HHID{}}
		if err := l.openKeys(cmd.Context(), kek, i); err != nil {
			return err
		}
		return l.file(cmd.Context(), file)
	}
	return cmd
}

func oneRow(household, deident string) (*row, error) {
	id, err := identity.ParseHHID(household)
	if err != nil {
		return nil, err
	}
	d, err := identity.ParseDeIdentTID(deident)
	return &row{Household: id, DeIdentTID: d}, err
}

func (p *program) linkOne(ctx context.Context, retailer string, r *row, asJSON bool) error {
	request := admin.LinkRequest{Tenant: retailer, HHID: r.Household, DeIdentTID: r.DeIdentTID}
	id, err := call[identity.HHID](ctx, p, nil, "households.link", request)
	if err != nil {
		return err
	}
	if asJSON {
		return cli.PrintJSON(p.env.Stdout, linked{Household: id})
	}
	_, err = fmt.Fprintf(p.env.Stdout, "%s now belongs to %s.\n", r.DeIdentTID, id)
	return err
}

// linker puts cards into households.
type linker struct {
	p         *program
	store     store.Store
	directory *directory.Directory
	act       store.Act
	tenant    store.Tenant
	asJSON    bool

	families map[string]identity.HHID
	done     int
	bad      int
}

// linked is what became of a line, as --json prints it.
type linked struct {
	Line      int           `json:"line,omitempty"`
	Household identity.HHID `json:"household,omitzero"`
	Error     string        `json:"error,omitempty"`
}

func (l *linker) openKeys(ctx context.Context, k *kekFlags, i store.Installation) error {
	keys, err := k.open(ctx, l.p, l.store, i)
	if err != nil {
		return err
	}
	l.directory, err = keys.Directory(l.store, "", time.Now)
	return err
}

func (l *linker) file(ctx context.Context, path string) error {
	in, err := l.p.input(path)
	if err != nil {
		return err
	}
	defer in.Close()
	lines := newLineReader(in)
	defer lines.wipe()
	for {
		text, number, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, errLongLine) {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if err == nil && blank(text) {
			continue
		}
		if err := l.line(ctx, number, text, err); err != nil {
			return err
		}
	}
	return l.summary(path)
}

// line does one line. The error it returns ends the whole; a bad line does not.
func (l *linker) line(ctx context.Context, number int, text []byte, err error) error {
	result := linked{Line: number}
	if err == nil {
		var r *row
		if r, err = parseRow(text); err == nil {
			result.Household, err = l.link(ctx, r)
			r.wipe()
		}
	}
	clear(text)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		l.bad++
		result.Error = err.Error()
		if !l.asJSON {
			fmt.Fprintf(l.p.env.Stderr, "centrald: line %d: %v\n", number, err)
			return nil
		}
	} else {
		l.done++
	}
	if l.asJSON {
		return cli.PrintJSONLine(l.p.env.Stdout, result)
	}
	return nil
}

func (l *linker) link(ctx context.Context, r *row) (identity.HHID, error) {
	to := r.Household
	if r.Family != "" {
		to = l.families[r.Family]
	}
	if r.DeIdentTID != "" {
		e, err := l.store.LinkDeIdent(ctx, l.act, l.tenant.ID, r.DeIdentTID, to)
		return e.HHID, err
	}
	kind, err := tid.ParseKind(string(r.Kind))
	if err != nil {
		return identity.HHID{}, err
	}
	secret, err := tid.FromCanonical(kind, r.TID)
	if err != nil {
		return identity.HHID{}, err
	}
	defer secret.Wipe()
	id, err := l.directory.Link(ctx, l.act, l.tenant.Name, secret, to)
	if err == nil && r.Family != "" {
		l.families[r.Family] = id
	}
	return id, err
}

func (l *linker) summary(path string) error {
	if !l.asJSON {
		fmt.Fprintf(l.p.env.Stdout, "%d linked, %d not.\n", l.done, l.bad)
	}
	if l.done+l.bad == 0 {
		return fmt.Errorf("%s is empty", path)
	}
	if l.bad > 0 {
		return cli.ErrFailed
	}
	return nil
}

// tenant gives the retailer called name; with one retailer it need not be named.
func tenant(ctx context.Context, st store.Store, name string) (store.Tenant, error) {
	all, err := st.Tenants(ctx)
	if err != nil {
		return store.Tenant{}, err
	}
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	for _, t := range all {
		if t.Name == name {
			return t, nil
		}
	}
	if name == "" {
		return store.Tenant{}, cli.Usagef("this central has several retailers: give --tenant")
	}
	return store.Tenant{}, errors.New("there is no retailer " + name + " in this central")
}
