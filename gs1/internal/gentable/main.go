// Command gentable writes the table of application identifiers of package gs1
// from GS1's Barcode Syntax Dictionary, a text file that GS1 publishes and that
// is not part of this repository:
//
//	GS1_SYNTAX_DICTIONARY=/path/to/gs1-syntax-dictionary.txt go generate ./gs1
//
// It refuses a dictionary that holds what package gs1 does not know how to
// check: a new flag, a new character set, a new attribute.
package main

import (
	"errors"
	"fmt"
	"os"
)

// variable names the environment variable with the dictionary's path.
const variable = "GS1_SYNTAX_DICTIONARY"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gentable:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: gentable FILE.go")
	}
	path := os.Getenv(variable)
	if path == "" {
		return fmt.Errorf("set %s to the path of GS1's gs1-syntax-dictionary.txt", variable)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	source, err := Generate(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], source, 0o644)
}
