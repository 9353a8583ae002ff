package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// JSONFlag gives a command the flag --json.
func JSONFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON instead of text")
}

// PrintJSON writes v as indented JSON.
func PrintJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// PrintJSONLine writes v as one line of JSON, for streams.
func PrintJSONLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// IsTerminal reports whether f, a reader or writer, is a terminal.
func IsTerminal(f any) bool {
	file, ok := f.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd()))
}

// Clean makes text that comes from outside, a scanned label say, safe to show:
// control characters and bytes that are no UTF-8 are shown escaped.
func Clean(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unprintable(r):
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// Palette colours text, or leaves it as it is where no colour is wanted.
type Palette struct{ on bool }

// Colour is the palette for w: colours only on a terminal, and not where the
// environment has NO_COLOR or TERM=dumb.
func (e Env) Colour(w io.Writer) Palette {
	return Palette{IsTerminal(w) && e.getenv("NO_COLOR") == "" && e.getenv("TERM") != "dumb"}
}

// Text is text that may be coloured. It keeps the two apart, so that a table
// knows its width.
type Text struct{ text, code string }

func (t Text) String() string {
	if t.code == "" {
		return Clean(t.text)
	}
	return "\x1b[" + t.code + "m" + Clean(t.text) + "\x1b[0m"
}

// Good, Bad, Doubtful, Strong and Faint say what a text is; the colour follows.
func (p Palette) Good(s string) Text     { return p.paint("32", s) }
func (p Palette) Bad(s string) Text      { return p.paint("31", s) }
func (p Palette) Doubtful(s string) Text { return p.paint("33", s) }
func (p Palette) Strong(s string) Text   { return p.paint("1", s) }
func (p Palette) Faint(s string) Text    { return p.paint("2", s) }

func (p Palette) paint(code, s string) Text {
	if !p.on {
		code = ""
	}
	return Text{s, code}
}

// Table is aligned text in columns. What is in its cells is cleaned.
type Table struct {
	rows   [][]Text
	widths []int
}

// NewTable begins a table with a line of headings; without any it has none.
func NewTable(headings ...any) *Table {
	t := &Table{}
	if len(headings) > 0 {
		t.Row(headings...)
	}
	return t
}

// Row adds a line. Cells are written as fmt.Sprint does, Text in its colour.
func (t *Table) Row(cells ...any) {
	row := make([]Text, len(cells))
	for i, c := range cells {
		text, ok := c.(Text)
		if !ok {
			text = Text{text: fmt.Sprint(c)}
		}
		row[i] = text
		if i == len(t.widths) {
			t.widths = append(t.widths, 0)
		}
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(Clean(text.text)))
	}
	t.rows = append(t.rows, row)
}

// Print writes the table.
func (t *Table) Print(w io.Writer) error {
	var b strings.Builder
	for _, row := range t.rows {
		gap := 0
		for i, c := range row {
			if c.text == "" {
				gap += t.widths[i] + 2
				continue
			}
			b.WriteString(strings.Repeat(" ", gap))
			b.WriteString(c.String())
			gap = t.widths[i] - utf8.RuneCountInString(Clean(c.text)) + 2
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Logger logs as text to standard error, without times where systemd's journal
// adds its own.
func (e Env) Logger(level slog.Level) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if e.getenv("JOURNAL_STREAM") != "" {
		opts.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		}
	}
	return slog.New(slog.NewTextHandler(e.Stderr, opts))
}
