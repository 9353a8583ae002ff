package cli

import (
	"context"
	"errors"
	"fmt"
)

// ErrNotConfirmed says that a person did not say yes.
var ErrNotConfirmed = errors.New("not done: it was not confirmed")

// Confirm asks for a yes on a terminal, before what cannot be undone. Where there
// is no terminal to ask at it is a usage error, which names the flag --yes.
func (e Env) Confirm(ctx context.Context, question string) error {
	if !IsTerminal(e.Stdin) {
		return Usagef("%s There is no terminal to ask at: give --yes", question)
	}
	fmt.Fprint(e.Stderr, question, " Type yes: ")
	answer, err := interruptible(ctx, func() ([]byte, error) { return readLine(e.Stdin) })
	if err != nil {
		return err
	}
	if string(answer) != "yes" {
		return ErrNotConfirmed
	}
	return nil
}
