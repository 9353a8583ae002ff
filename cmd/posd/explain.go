package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"posd/basket"
	"posd/cli"
	"posd/scanner"
)

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain LABEL",
		Short: "Say what a label means",
		Long: `Say what a label means: its symbology, the GTIN in it, whether the check digit is
right, and its GS1 elements. The label is digits alone, what a scanner sends with
its AIM identifier, or elements in brackets; GS may be written <GS>. The exit
status is 1 if something is wrong with the label.`,
		Example: `  posd explain 036000291452
  posd explain ']E00012345678905'
  posd explain '(01)09501101530003(17)261231(10)AB-123'
  posd explain --json 04210000526`,
		Args: cobra.ExactArgs(1),
	}
	asJSON := cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e := withoutCardNumber(scanner.Explain(args[0]))
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

// withoutCardNumber leaves out a label that may be the number of a card: what is
// printed stays in terminals and logs. A mistyped EAN is not taken for one.
func withoutCardNumber(e scanner.Explanation) scanner.Explanation {
	line := basket.Line{UPC: e.Label, Symbology: string(e.Symbology)}
	if mistyped := e.Symbology == scanner.EAN13; e.GTIN != "" || mistyped || !line.PersonNumber() {
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
		if text := fmt.Sprint(value); text != "" {
			t.Row(name, text)
		}
	}
	row("symbology", e.Symbology)
	row("label", e.Label)
	row("kind", e.Kind)
	row("GTIN", e.GTIN)
	if c := e.CheckDigit; c != nil {
		row("check digit", checkDigit(*c))
	}
	row("add-on", e.AddOn)
	for _, el := range e.Elements {
		t.Row("("+el.AI+")", el.Value, el.Title)
	}
	row("error", e.Error)
	return t.Print(w)
}

func checkDigit(c scanner.CheckDigit) string {
	switch {
	case c.Given == "":
		return c.Computed + ", left out in the label"
	case c.OK:
		return c.Given + ", right"
	}
	return fmt.Sprintf("%s, wrong: it should be %s", c.Given, c.Computed)
}
