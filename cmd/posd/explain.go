package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posd/basket"
	"posd/cli"
	"posd/gs1"
	"posd/scanner"
)

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain LABEL",
		Short: "Say what a label means",
		Long: `Say what a label means: its symbology, the GTIN in it, whether the check digit is
right, and its GS1 elements with their dates, prices and weights in words. The
label is digits alone, what a scanner sends with its AIM identifier, the URI of a
GS1 Digital Link, or elements in brackets; GS may be written <GS>. With --config
the shop's numbers for goods of random weight are known. The exit status is 1 if
something is wrong with the label.`,
		Example: `  posd explain 036000291452
  posd explain ']E00012345678905'
  posd explain '(01)09501101530003(17)261231(10)AB-123'
  posd explain 'https://id.gs1.org/01/09506000134352?17=261231'
  posd explain --config /etc/posd/posd.toml 212345928752
  posd explain --json 042100005264`,
		Args: cobra.ExactArgs(1),
	}
	asJSON := cli.JSONFlag(cmd)
	config := cmd.Flags().String("config", "", "the configuration whose labels.random_weight counts; none if it is not given")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		patterns, err := patternsOf(*config)
		if err != nil {
			return err
		}
		e := withoutPersons(scanner.Explain(args[0], time.Now().Year(), patterns))
		show := printExplanation
		if *asJSON {
			show = func(w io.Writer, e scanner.Explanation) error { return cli.PrintJSON(w, e) }
		}
		if err := show(cmd.OutOrStdout(), e); err != nil {
			return err
		}
		if e.Error != "" {
			return cli.ErrFailed
		}
		return nil
	}
	return cmd
}

// patternsOf gives the patterns of random weight of a configuration, none
// without one.
func patternsOf(path string) ([]gs1.Pattern, error) {
	if path == "" {
		return nil, nil
	}
	c, err := loadConfig(path)
	return c.Labels.RandomWeight, err
}

// withoutPersons leaves out a label that may be the number of a card or a
// person: what is printed stays in terminals and logs. A mistyped EAN is not
// taken for one.
func withoutPersons(e scanner.Explanation) scanner.Explanation {
	line := basket.Line{UPC: e.Label, Data: []byte(e.Text), Symbology: string(e.Symbology), GTIN: string(e.GTIN), AddOn: e.AddOn, Problem: e.Error}
	personal := slices.ContainsFunc(e.Elements, func(el scanner.WordElement) bool { return gs1.Personal(el.AI) })
	mistyped := e.Symbology == scanner.EAN13 && len(e.Label) == 13 && e.Text == ""
	if !personal && (mistyped || !line.PersonNumber()) {
		return e
	}
	return scanner.Explanation{
		Symbology: e.Symbology, Kind: scanner.Other,
		Error: "it may be the number of a card or a person, and is not shown; a lane keeps no such label",
	}
}

func printExplanation(w io.Writer, e scanner.Explanation) error {
	t := cli.NewTable()
	row := func(name string, value any) {
		if text := fmt.Sprint(value); text != "" && text != "<nil>" {
			t.Row(name, text)
		}
	}
	row("symbology", e.Symbology)
	row("label", shown(e.Label))
	row("kind", e.Kind)
	row("GTIN", e.GTIN)
	row("look up", e.Reference)
	if c := e.CheckDigit; c != nil {
		row("check digit", checkDigit(*c))
	}
	row("add-on", e.AddOn)
	row("price", e.Price)
	row("weight", e.Weight)
	if e.Link {
		row("link", "GS1 Digital Link")
	}
	for _, el := range e.Elements {
		t.Row("("+el.AI+")", el.Value, el.Title, el.Meaning)
	}
	row("error", e.Error)
	row("there", there(e))
	return t.Print(w)
}

// there gives the label with a mark before the byte from which on it is wrong.
func there(e scanner.Explanation) string {
	text := e.Text
	if text == "" {
		text = e.Label
	}
	if e.ErrorAt == nil || *e.ErrorAt > len(text) {
		return ""
	}
	return shown(text[:*e.ErrorAt]) + " >>" + shown(text[*e.ErrorAt:])
}

// shown writes GS as it is taken.
func shown(label string) string { return strings.ReplaceAll(label, gs1.GS, "<GS>") }

func checkDigit(c scanner.CheckDigit) string {
	switch {
	case c.Given == "":
		return c.Computed + ", left out in the label"
	case c.OK:
		return c.Given + ", right"
	}
	return fmt.Sprintf("%s, wrong: it should be %s", c.Given, c.Computed)
}
