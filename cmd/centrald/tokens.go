package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"posd/central/server/admin"
	"posd/cli"
	"posd/enroll"
)

func (p *program) tokens() *cobra.Command {
	return group("tokens", "Enrolment tokens of lanes and POS main computers",
		"  centrald tokens create --store 12 --lane 3", p.tokensCreate())
}

type tokenFlags struct {
	shop, lane, role, tenant string
	file, replace            string
}

func (p *program) tokensCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a token with which one machine can enrol, once, within an hour",
		Long: `create prints a token for "posd enroll" or "posmaind enroll". It is good for an
hour and for one machine; an earlier token of the same lane is void from then on.

With --file it makes many at once, all or none: lines of store,lane or
store,lane,role ("-" is standard input), perhaps under a line of these words. It
prints store,lane,role,token; with --json one object a line: tenant, store, role,
lane, token, expires_at.

A lane that is enrolled is refused, unless --replace names it: its certificate
is then revoked, and the token is for the machine that takes its place. To
replace a POS main computer say --role posmain --replace posmain.`,
		Example: `  centrald tokens create --store 12 --lane 3
  centrald tokens create --store 12 --role posmain
  centrald tokens create --store 12 --replace 3
  centrald tokens create --file lanes.csv > tokens.csv`,
		Args: cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	var f tokenFlags
	cmd.Flags().StringVar(&f.shop, "store", "", "number or name of the shop")
	cmd.Flags().StringVar(&f.lane, "lane", "", "number or name of the lane")
	cmd.Flags().StringVar(&f.role, "role", string(enroll.Lane), "what enrols: lane or posmain")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "the retailer (only needed where there are several)")
	cmd.Flags().StringVar(&f.file, "file", "", "CSV file of store,lane[,role]")
	cmd.Flags().StringVar(&f.replace, "replace", "", "lane whose certificate is revoked, for a machine in its place")
	for _, single := range []string{"store", "lane", "role", "replace"} {
		cmd.MarkFlagsMutuallyExclusive("file", single)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		names, err := p.wanted(f)
		if err != nil {
			return err
		}
		request := admin.TokensRequest{Tenant: f.tenant, Machines: names, Replace: f.replace != ""}
		made, err := call[[]admin.Token](cmd.Context(), p, nil, "tokens.create", request)
		if err != nil {
			return err
		}
		return p.printTokens(made, *asJSON, f.file != "")
	}
	return cmd
}

// wanted gives the machines to make tokens for; their retailer is still open.
func (p *program) wanted(f tokenFlags) ([]enroll.Name, error) {
	if f.file != "" {
		return p.readLanes(f.file)
	}
	if f.shop == "" {
		return nil, cli.Usagef("say which machine: --store and --lane, --store and --role posmain, or --file")
	}
	role, err := parseRole(f.role)
	if err != nil {
		return nil, cli.Usagef("%v", err)
	}
	lane := f.lane
	switch {
	case role == enroll.POSMain && lane != "":
		return nil, cli.Usagef("a POS main computer has no --lane")
	case role == enroll.POSMain && f.replace != "" && f.replace != string(enroll.POSMain):
		return nil, cli.Usagef("to replace a POS main computer, say --replace posmain")
	case role == enroll.Lane && lane == "":
		lane = f.replace
	case role == enroll.Lane && f.replace != "" && f.replace != lane:
		return nil, cli.Usagef("--lane and --replace name two lanes: the new machine takes the place of the old one")
	}
	n := enroll.Name{Tenant: "x", Shop: f.shop, Role: role, Lane: lane}
	if err := n.Check(); err != nil {
		return nil, cli.Usagef("%v", err)
	}
	return []enroll.Name{n}, nil
}

func parseRole(s string) (enroll.Role, error) {
	role, err := enroll.ParseRole(s)
	if err != nil || role == enroll.Central {
		return "", fmt.Errorf("the role %q is none of lane, posmain", s)
	}
	return role, nil
}

// readLanes reads the file of --file. Every bad line is reported.
func (p *program) readLanes(path string) ([]enroll.Name, error) {
	in, err := p.input(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r := csv.NewReader(in)
	r.FieldsPerRecord, r.TrimLeadingSpace, r.Comment = -1, true, '#'
	var names []enroll.Name
	var errs []error
	seen := map[enroll.Name]int{}
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.Join(append(errs, fmt.Errorf("read %s: %w", path, err))...)
		}
		line, _ := r.FieldPos(0)
		if line == 1 && isHeading(fields) {
			continue
		}
		n, err := laneOf(fields)
		if first, twice := seen[n]; err == nil && twice {
			err = fmt.Errorf("it names the same machine as line %d", first)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s line %d: %w", path, line, err))
			continue
		}
		seen[n] = line
		names = append(names, n)
	}
	if len(names)+len(errs) == 0 {
		return nil, fmt.Errorf("%s names no machine", path)
	}
	return names, errors.Join(errs...)
}

// isHeading reports whether a line names the columns, as spreadsheets write it.
func isHeading(fields []string) bool {
	return len(fields) > 1 && fields[0] == "store" && fields[1] == "lane"
}

func laneOf(fields []string) (enroll.Name, error) {
	if len(fields) < 2 || len(fields) > 3 {
		return enroll.Name{}, errors.New("want store,lane or store,lane,role")
	}
	role := enroll.Lane
	if len(fields) == 3 && fields[2] != "" {
		var err error
		if role, err = parseRole(fields[2]); err != nil {
			return enroll.Name{}, err
		}
	}
	n := enroll.Name{Tenant: "x", Shop: fields[0], Role: role, Lane: fields[1]}
	return n, n.Check()
}

// input opens a file to read, "-" for standard input.
func (p *program) input(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(p.env.Stdin), nil
	}
	return os.Open(path)
}

func (p *program) printTokens(made []admin.Token, asJSON, many bool) error {
	out := p.env.Stdout
	switch {
	case asJSON && many:
		for _, t := range made {
			if err := cli.PrintJSONLine(out, t); err != nil {
				return err
			}
		}
		return nil
	case asJSON:
		return cli.PrintJSON(out, made[0])
	case many:
		w := csv.NewWriter(out)
		for _, t := range made {
			w.Write([]string{t.Shop, t.Lane, string(t.Role), t.Token})
		}
		w.Flush()
		return w.Error()
	}
	_, err := fmt.Fprintln(out, made[0].Token)
	return err
}
