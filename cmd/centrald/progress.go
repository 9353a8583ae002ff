package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"posd/central/server/importer"
	"posd/central/server/store"
	"posd/cli"
)

// progressBar shows on a terminal how far an import is. A nil one shows nothing.
type progressBar struct {
	out   io.Writer
	size  int64 // of the input; 0: not known
	begun time.Time
	phase store.Phase
	shown time.Time
	dirty bool
}

func (p *program) progressBar(size int64) *progressBar {
	if !cli.IsTerminal(p.env.Stderr) {
		return nil
	}
	return &progressBar{out: p.env.Stderr, size: size}
}

func (b *progressBar) show(p importer.Progress) {
	if b == nil {
		return
	}
	now := time.Now()
	if p.Phase != b.phase {
		b.phase, b.begun, b.shown = p.Phase, now, time.Time{}
	}
	if now.Sub(b.shown) < 100*time.Millisecond {
		return
	}
	b.shown, b.dirty = now, true
	fmt.Fprintf(b.out, "\r\x1b[K%s", b.line(p, now))
}

func (b *progressBar) line(p importer.Progress, now time.Time) string {
	done, of := float64(p.Bytes), float64(b.size)
	if p.Of > 0 {
		done, of = float64(p.Rows), float64(p.Of)
	}
	text := fmt.Sprintf("%-10s", p.Phase)
	if of > 0 && p.Phase != store.Households {
		const width = 30
		part := min(done/of, 1)
		full := int(part * width)
		text += fmt.Sprintf(" [%s%s] %3.0f%%", strings.Repeat("#", full), strings.Repeat(".", width-full), part*100)
	}
	text += fmt.Sprintf(" %d rows", p.Rows)
	if took := now.Sub(b.begun).Seconds(); took > 0.5 {
		text += fmt.Sprintf(", %.0f/s", float64(p.Rows)/took)
	}
	return text
}

// clear takes the bar away.
func (b *progressBar) clear() {
	if b != nil && b.dirty {
		fmt.Fprint(b.out, "\r\x1b[K")
		b.dirty = false
	}
}
