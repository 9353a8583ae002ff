package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// teller prints the story: plain text, in colour on a terminal only.
type teller struct {
	w      io.Writer
	colour bool
}

func newTeller(f *os.File) *teller {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &teller{w: f, colour: terminal && os.Getenv("NO_COLOR") == ""}
}

const (
	bold  = "\x1b[1m"
	green = "\x1b[32m"
	dim   = "\x1b[2m"
	reset = "\x1b[0m"
)

func (t *teller) paint(code, s string) string {
	if !t.colour {
		return s
	}
	return code + s + reset
}

func (t *teller) chapter(n int, title string) {
	fmt.Fprintf(t.w, "\n%s\n", t.paint(bold, fmt.Sprintf("%d. %s", n, title)))
}

func (t *teller) line(format string, args ...any) {
	fmt.Fprintf(t.w, "   "+format+"\n", args...)
}

func (t *teller) good(format string, args ...any) {
	fmt.Fprintf(t.w, "   %s %s\n", t.paint(green, "✓"), fmt.Sprintf(format, args...))
}

// aside prints what a program printed, or a command to type.
func (t *teller) aside(text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintf(t.w, "     %s\n", t.paint(dim, line))
	}
}
