package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"posd/central/server/admin"
	"posd/central/server/erasures"
	"posd/central/server/store"
	"posd/cli"
	"posd/identity"
)

// addErasureFlag gives a command the flag --erasure-ledger.
func (p *program) addErasureFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.erasureLedger, "erasure-ledger", "", "file that says what was erased, for a restore; not to be overwritten by one (default: erasures.ndjson beside an SQLite database)")
}

// erasures is the erasure ledger. With a database on a server it must be named: it is
// worth nothing on a machine that comes and goes.
func (p *program) erasures() erasures.Ledger {
	switch {
	case p.erasureLedger != "":
		return erasures.Ledger{Path: p.erasureLedger}
	case p.remote():
		return erasures.Ledger{}
	}
	return erasures.Ledger{Path: filepath.Join(filepath.Dir(p.database), "erasures.ndjson")}
}

// eraseFlags say what is to be erased.
type eraseFlags struct {
	kek                           *kekFlags
	asJSON                        *bool
	tenant, kind, deident, family string
	yes, preview                  bool
}

func (p *program) erase() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "erase",
		Short: "Erase a card, or a household with all its cards",
		Long: `erase overwrites all that is stored of a card, of whom it is and of its household, for
good. What stays is a keyed fingerprint of its number, so that it is answered
"opted-out" when it is shown again. Backups that were made before still hold it; a
restore erases it again, by the erasure ledger (--erasure-ledger), a file that must
be kept apart from the database.

Every shop's POS main computer is told, takes the card out of the baskets that it
keeps, and says so: "centrald erase certificate" shows which have.

The card is given by its number, which is asked for without echo, or read as one
line of standard input, with --kind; by its pseudonym; or its whole household is
erased. Numbers are in canonical form: a payment card's digits, a loyalty number
behind the four digits of its issuer, a telephone number as E.164.

What would be erased is shown first, and has to be confirmed. --preview ends there;
--yes asks nothing. --json prints an object: number (of the erasure), at, actor, scope
(card or household), cards, kinds, left (cards of the household that stay), warning.`,
		Example: `  centrald erase --kind payment
  centrald erase --kind phone --yes < number.txt
  centrald erase --deident d1:mfrggzdfmztwq2lknnwg23tpoa
  centrald erase --household hh:mfrggzdfmztwq --preview`,
		Args: noNumber,
	}
	f := &eraseFlags{kek: addKEKFlags(cmd), asJSON: cli.JSONFlag(cmd)}
	p.addErasureFlag(cmd)
	cmd.Flags().StringVar(&f.kind, "kind", "", "erase by number: payment, loyalty or phone")
	cmd.Flags().StringVar(&f.deident, "deident", "", "erase by pseudonym (DeIdentTID)")
	cmd.Flags().StringVar(&f.family, "household", "", "erase a household with all its cards")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "the retailer (only needed where there are several)")
	cmd.Flags().BoolVar(&f.preview, "preview", false, "only say what would be erased")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "erase without asking")
	cmd.MarkFlagsOneRequired("kind", "deident", "household")
	cmd.MarkFlagsMutuallyExclusive("kind", "deident", "household")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.runErase(cmd.Context(), f) }
	cmd.AddCommand(p.eraseCertificate(), p.eraseLift())
	return cmd
}

// noNumber refuses arguments, and repeats none: it may be a card's number.
func noNumber(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return cli.Usagef("it takes no argument: a number is asked for, or read from standard input")
	}
	return nil
}

func (p *program) runErase(ctx context.Context, f *eraseFlags) error {
	r, err := f.request()
	if err != nil {
		return cli.Usagef("%v", err)
	}
	if f.kind != "" {
		if r.Digits, err = p.number(ctx, f.kind); err != nil {
			return err
		}
		defer clear(r.Digits)
	}
	r.Preview = true
	plan, err := call[admin.EraseAnswer](ctx, p, f.kek, "erase", r)
	if err != nil {
		return err
	}
	if f.preview {
		return p.printErased(f, plan)
	}
	if !f.yes {
		if err := p.env.Confirm(ctx, "Erase "+extent(plan.Erasure)+" for good?"); err != nil {
			return err
		}
	}
	r.Preview = false
	done, err := call[admin.EraseAnswer](ctx, p, f.kek, "erase", r)
	if err != nil {
		return err
	}
	return p.printErased(f, done)
}

func (f *eraseFlags) request() (r admin.EraseRequest, err error) {
	r.Tenant = f.tenant
	switch {
	case f.kind != "":
		r.Kind, err = identity.ParseKind(f.kind)
	case f.deident != "":
		r.DeIdentTID, err = identity.ParseDeIdentTID(f.deident)
	default:
		r.HHID, err = identity.ParseHHID(f.family)
	}
	return r, err
}

// number asks for a number. Spaces, hyphens and a plus sign are left out.
func (p *program) number(ctx context.Context, kind string) ([]byte, error) {
	text, err := p.env.ReadSecret(ctx, "Number ("+kind+"), not shown: ")
	if err != nil {
		return nil, err
	}
	defer clear(text)
	digits := make([]byte, 0, len(text))
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9':
			digits = append(digits, c)
		case !strings.ContainsRune(" -+", rune(c)):
			clear(digits)
			return nil, cli.Usagef("a number has digits only")
		}
	}
	if len(digits) == 0 {
		return nil, cli.Usagef("a number has digits")
	}
	return digits, nil
}

// extent says what an erasure takes in.
func extent(e store.Erasure) string {
	kinds := slices.Clone(e.Kinds)
	slices.Sort(kinds)
	var words []string
	for _, k := range slices.Compact(kinds) {
		words = append(words, string(k))
	}
	cards := fmt.Sprintf("%d cards or numbers", e.Cards)
	if e.Cards == 1 {
		cards = "1 card or number"
	}
	if len(words) > 0 {
		cards += " (" + strings.Join(words, ", ") + ")"
	}
	if e.Scope == store.ScopeHousehold {
		return "a household with " + cards
	}
	return fmt.Sprintf("%s, of whose household %d stay", cards, e.Left)
}

func (p *program) printErased(f *eraseFlags, done admin.EraseAnswer) error {
	out := p.env.Stdout
	if *f.asJSON {
		return cli.PrintJSON(out, done)
	}
	if f.preview {
		_, err := fmt.Fprintf(out, "This would be erased: %s.\n", extent(done.Erasure))
		return err
	}
	if done.Warning != "" {
		fmt.Fprintf(p.env.Stderr, "centrald: %s\n", done.Warning)
	}
	_, err := fmt.Fprintf(out, "Erased %s. The shops are told: centrald erase certificate %d\n", extent(done.Erasure), done.Number)
	return err
}

func (p *program) eraseCertificate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certificate NUMBER",
		Short: "Show what was erased when, and which shops keep nothing of it any more",
		Long: `certificate shows when an erasure was done, and for each POS main computer of the
retailer whether it has acknowledged it: then none of its baskets holds anything of
it. One that is outstanding is switched off, cut off, or still at it. One whose
certificate was revoked follows central no more: see to its disk by other means.

--json prints an object: number, tenant, at, actor, scope, cards, outstanding (how many
shops), shops, each with store, state (acknowledged, outstanding, revoked) and
acknowledged_at.`,
		Example: "  centrald erase certificate 7\n  centrald erase certificate 7 --json",
		Args:    cobra.ExactArgs(1),
	}
	asJSON := cli.JSONFlag(cmd)
	name := cmd.Flags().String("tenant", "", "the retailer (only needed where there are several)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := strconv.ParseUint(args[0], 10, 63)
		if err != nil || n == 0 {
			return cli.Usagef("give the number of an erasure, as erase has shown it")
		}
		c, err := call[store.ErasureCertificate](cmd.Context(), p, nil, "erase.certificate", admin.CertificateRequest{Tenant: *name, Number: n})
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, c)
		}
		return p.printCertificate(c)
	}
	return cmd
}

func (p *program) printCertificate(c store.ErasureCertificate) error {
	out, colour := p.env.Stdout, p.env.Colour(p.env.Stdout)
	what := "a card"
	if c.Scope == store.ScopeHousehold {
		what = fmt.Sprintf("a household with %d cards or numbers", c.Cards)
	}
	fmt.Fprintf(out, "Erasure %d: %s of %s, at %s by %s.\n\n", c.Number, what, c.Tenant, moment(c.At), c.Actor)
	if len(c.Shops) == 0 {
		_, err := fmt.Fprintln(out, "No POS main computer is enrolled.")
		return err
	}
	t := cli.NewTable("STORE", "STATE", "SINCE")
	for _, s := range c.Shops {
		state, since := colour.Doubtful(s.State), ""
		switch s.State {
		case store.Acknowledged:
			state, since = colour.Good(s.State), moment(s.AcknowledgedAt)
		case string(store.Revoked):
			state = colour.Bad(s.State)
		}
		t.Row(s.Shop, state, since)
	}
	if err := t.Print(out); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d of %d outstanding.\n", c.Outstanding, len(c.Shops))
	return err
}

func (p *program) eraseLift() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lift",
		Short: "Recognise a card again whose owner has come back",
		Long: `lift ends the suppression of a card: it was erased, or its owner had opted out. What was
erased does not come back: the card gets a new household. The number is asked for
without echo, or read as one line of standard input. --json prints an object:
household.`,
		Example: "  centrald erase lift --kind loyalty",
		Args:    noNumber,
	}
	asJSON, kek := cli.JSONFlag(cmd), addKEKFlags(cmd)
	p.addErasureFlag(cmd)
	kind := cmd.Flags().String("kind", "", "payment, loyalty or phone (required)")
	name := cmd.Flags().String("tenant", "", "the retailer (only needed where there are several)")
	cmd.MarkFlagRequired("kind")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		r := admin.LiftRequest{Tenant: *name}
		var err error
		if r.Kind, err = identity.ParseKind(*kind); err != nil {
			return cli.Usagef("%v", err)
		}
		if r.Digits, err = p.number(cmd.Context(), *kind); err != nil {
			return err
		}
		defer clear(r.Digits)
		id, err := call[identity.HHID](cmd.Context(), p, kek, "erase.lift", r)
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, map[string]identity.HHID{"household": id})
		}
		_, err = fmt.Fprintf(p.env.Stdout, "The card is recognised again, as of %s.\n", id)
		return err
	}
	return cmd
}
