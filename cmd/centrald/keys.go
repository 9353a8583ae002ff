package main

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posd/central/server"
	"posd/central/server/admin"
	"posd/central/server/store"
	"posd/cli"
)

func (p *program) keys() *cobra.Command {
	return group("keys", "Central's keys: list, rotate, retire, destroy and rewrap them",
		"  centrald keys list\n  centrald keys rotate hpke", p.keysList(), p.keysRotate(), p.keysRetire(), p.keysDestroy(), p.keysRewrap(), p.keysMapping())
}

func (p *program) keysList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List central's keys, their states and when they are used",
		Long: `list shows all keys; never their secrets.

  hpke         lanes seal card numbers (EncTIDs) with it, central opens them
  ca           issues the certificates of lanes and shops
  manifest     signs the list of hpke keys that lanes get
  fingerprint  a card is found by its fingerprint under this key
  tid          seals card numbers in the database
  deident      makes pseudonyms (DeIdentTIDs); its number is their version

An hpke key is announced (lanes know it and will seal with it), sealing, open-only
(central still opens what is on its way), and at last destroyed. The others are
active, superseded by a newer one, or destroyed. After fingerprint or deident was
rotated, a running centrald moves the stored cards to the newest keys: list shows how
far it is.

--json prints an object: kek (the id of the key-encryption key), passphrase (whether
it comes from one), and keys, an array of purpose, tenant, number, state,
created_at, of hpke keys seals_from and seals_until, and moved, the share of cards
that are done, while they are moved to a key.`,
		Example: "  centrald keys list\n  centrald keys list --json",
		Args:    cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all, err := call[admin.KeyList](cmd.Context(), p, nil, "keys.list", admin.None{})
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, all)
		}
		return p.printKeys(all)
	}
	return cmd
}

func (p *program) printKeys(all admin.KeyList) error {
	colour := p.env.Colour(p.env.Stdout)
	t := cli.NewTable("PURPOSE", "RETAILER", "NUMBER", "STATE", "MADE", "LANES SEAL FROM", "UNTIL")
	for _, k := range all.Keys {
		state := colour.Good(k.State)
		switch k.State {
		case server.Announced, server.OpenOnly, server.Superseded:
			state = colour.Doubtful(k.State)
		case server.Destroyed:
			state = colour.Faint(k.State)
		}
		if k.Moved != nil {
			state = colour.Doubtful(fmt.Sprintf("%s, %.0f %% of cards moved to it", k.State, 100**k.Moved))
		}
		t.Row(k.Purpose, k.Tenant, k.Number, state, moment(k.CreatedAt), perhaps(k.SealsFrom), perhaps(k.SealsUntil))
	}
	if err := t.Print(p.env.Stdout); err != nil {
		return err
	}
	from := "a file or credential"
	if all.Passphrase {
		from = "a passphrase"
	}
	_, err := fmt.Fprintf(p.env.Stdout, "\nThey are wrapped under key-encryption key %s, from %s.\n", all.KEK, from)
	return err
}

// perhaps is an instant as a person reads it, "" for none.
func perhaps(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return moment(t)
}

// lead is how long lanes know a key before they seal with it. They ask for the
// manifest every hour; those that are switched off at night, in the morning.
const lead = 24 * time.Hour

func (p *program) keysRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate PURPOSE",
		Short: "Make a new key that takes the place of the one before",
		Long: `rotate makes a new key.

hpke: lanes learn of it at once, and seal with it when --lead has passed; from then
on the key before is open-only: central still opens what was sealed with it. A lane
that was not there meanwhile goes on with the key before until it has asked central.
--now is for a key that is compromised: lanes seal with the new one as soon as they
have asked, which they do every hour.

deident: from now on answers carry pseudonyms of the next version (d2:...). A running
centrald makes those of the cards that it knows in the background; the earlier ones
go on being found, and "centrald keys mapping" tells which is which.

fingerprint: from now on cards are stored, and found, under the new key. A running
centrald moves those that it knows in the background, and drops its index under the
key before once all are done. No card changes its household.

--json prints an object: purpose, tenant, number, seals_from.`,
		Example: `  centrald keys rotate hpke
  centrald keys rotate deident --tenant acme
  centrald keys rotate hpke --at 2027-01-05T03:00:00Z
  centrald keys rotate hpke --now`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{string(store.HPKE), string(store.Fingerprint), string(store.DeIdent)},
	}
	asJSON, kek := cli.JSONFlag(cmd), addKEKFlags(cmd)
	name := cmd.Flags().String("tenant", "", "fingerprint, deident: the retailer (only needed where there are several)")
	var begin beginning
	cmd.Flags().DurationVar(&begin.lead, "lead", lead, "hpke: how long lanes know the key before they seal with it")
	cmd.Flags().StringVar(&begin.at, "at", "", "hpke: when lanes begin to seal with it (RFC 3339)")
	cmd.Flags().BoolVar(&begin.now, "now", false, "hpke: lanes seal with it as soon as they hear of it")
	cmd.MarkFlagsMutuallyExclusive("lead", "at", "now")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		from, err := begin.from()
		if err != nil {
			return cli.Usagef("%v", err)
		}
		did, err := call[server.KeyAct](cmd.Context(), p, kek, "keys.rotate", admin.RotateRequest{Purpose: store.Purpose(args[0]), Tenant: *name, From: from})
		if err != nil {
			return err
		}
		if did.Purpose != store.HPKE {
			return p.didKey(did, *asJSON, "%s key %d of %s is made. A running centrald moves the cards to it: see `centrald keys list`.\n", did.Purpose, did.Number, did.Tenant)
		}
		when := "from " + moment(did.SealsFrom) + " on"
		if from.IsZero() {
			when = "as soon as they have asked central"
		}
		return p.didKey(did, *asJSON, "%s key %d is made. Lanes seal with it %s.\n", did.Purpose, did.Number, when)
	}
	return cmd
}

// beginning is when a key begins to be used.
type beginning struct {
	lead time.Duration
	at   string
	now  bool
}

func (b beginning) from() (time.Time, error) {
	switch {
	case b.now:
		return time.Time{}, nil
	case b.at != "":
		at, err := time.Parse(time.RFC3339, b.at)
		if err != nil {
			return at, fmt.Errorf("--at is a time such as 2027-01-05T03:00:00Z, not %q", b.at)
		}
		return at.UTC(), nil
	case b.lead <= 0:
		return time.Time{}, fmt.Errorf("--lead must be a time to come; --now lets lanes seal with the key at once")
	}
	return time.Now().UTC().Add(b.lead).Truncate(time.Second), nil
}

func (p *program) keysRetire() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retire PURPOSE NUMBER",
		Short: "Have lanes seal with a key no more",
		Long: `retire makes an hpke key open-only: lanes seal with it no more as soon as they have
asked central, and central still opens what was sealed with it. There must be
another key to seal with: see rotate. Keys of other purposes need not be retired:
they are superseded as soon as they are rotated.

--json prints an object: purpose, number, seals_until.`,
		Example:   "  centrald keys retire hpke 1",
		Args:      cobra.ExactArgs(2),
		ValidArgs: []string{string(store.HPKE)},
	}
	asJSON := cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		request, err := keyRequest(args)
		if err != nil {
			return err
		}
		did, err := call[server.KeyAct](cmd.Context(), p, nil, "keys.retire", request)
		if err != nil {
			return err
		}
		return p.didKey(did, *asJSON, "%s key %d is open-only. It can be destroyed from %s on.\n", did.Purpose, did.Number, moment(did.SealsUntil.Add(server.Keep)))
	}
	return cmd
}

func (p *program) keysDestroy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "destroy PURPOSE NUMBER",
		Short: "Erase the secret of a key for good",
		Long: `destroy erases the secret of an hpke key from the database and from the memory of
every running centrald. What was sealed with it and is on its way still can never be
opened: the lane hears that the key is retired, and the identity stays unresolved.

It is refused until 35 days after lanes ceased to seal with the key, unless
--compromised is said.

A fingerprint or deident key can be destroyed once it is superseded and all cards are
moved to the newest. Cards that were erased cannot be moved: nobody knows their
numbers. As long as there are such, the fingerprint key that finds them stays, or
they would be taken for new ones.

Backups still hold the key, wrapped: see "centrald keys rewrap".

--json prints an object: purpose, tenant, number, seals_until.`,
		Example:   "  centrald keys destroy hpke 1\n  centrald keys destroy hpke 1 --compromised --yes",
		Args:      cobra.ExactArgs(2),
		ValidArgs: []string{string(store.HPKE), string(store.Fingerprint), string(store.DeIdent)},
	}
	asJSON := cli.JSONFlag(cmd)
	name := cmd.Flags().String("tenant", "", "fingerprint, deident: the retailer (only needed where there are several)")
	compromised := cmd.Flags().Bool("compromised", false, "destroy it before 35 days have passed")
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		request, err := keyRequest(args)
		if err != nil {
			return err
		}
		request.Tenant, request.Compromised = *name, *compromised
		if !*yes {
			if err := p.env.Confirm(cmd.Context(), fmt.Sprintf("Destroy %s key %d for good?", request.Purpose, request.Number)); err != nil {
				return err
			}
		}
		did, err := call[server.KeyAct](cmd.Context(), p, nil, "keys.destroy", request)
		if err != nil {
			return err
		}
		return p.didKey(did, *asJSON, "%s key %d is destroyed.\n", did.Purpose, did.Number)
	}
	return cmd
}

func (p *program) keysMapping() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mapping",
		Short: "Print which pseudonyms of an earlier version became which",
		Long: `mapping prints the pseudonyms (DeIdentTIDs) that cards had under an earlier deident
key, each with the one that the same card has now: one JSON object a line, with from
and to. Cards that were erased, or first seen later, are not among them.`,
		Example: "  centrald keys mapping --from 1 --to 2 > d1-to-d2.ndjson",
		Args:    cobra.NoArgs,
	}
	var request admin.MappingRequest
	cmd.Flags().IntVar(&request.From, "from", 0, "version of the earlier pseudonyms (required)")
	cmd.Flags().IntVar(&request.To, "to", 0, "version of the present ones (required)")
	cmd.Flags().StringVar(&request.Tenant, "tenant", "", "the retailer (only needed where there are several)")
	cmd.MarkFlagRequired("from")
	cmd.MarkFlagRequired("to")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.admin(cmd.Context(), nil)
		if err != nil {
			return err
		}
		defer c.Close()
		out := bufio.NewWriter(p.env.Stdout)
		err = c.Stream(cmd.Context(), "keys.mapping", request, strings.NewReader(""), func(line []byte) error {
			_, err := out.Write(append(line, '\n'))
			return err
		})
		if errors.Is(err, admin.ErrMisuse) {
			err = cli.Usagef("%v", err)
		}
		return errors.Join(err, out.Flush())
	}
	return cmd
}

func keyRequest(args []string) (admin.KeyRequest, error) {
	number, err := strconv.ParseUint(args[1], 10, 32)
	if err != nil || number == 0 {
		return admin.KeyRequest{}, cli.Usagef("%q is not the number of a key: see `centrald keys list`", args[1])
	}
	return admin.KeyRequest{Purpose: store.Purpose(args[0]), Number: uint32(number)}, nil
}

func (p *program) didKey(did server.KeyAct, asJSON bool, format string, args ...any) error {
	if asJSON {
		return cli.PrintJSON(p.env.Stdout, did)
	}
	_, err := fmt.Fprintf(p.env.Stdout, format, args...)
	return err
}
