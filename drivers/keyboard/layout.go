package keyboard

import (
	"fmt"
	"strings"
	"unicode"
)

// Layout says which character is on which key. The zero Layout is US.
type Layout uint8

// The layouts.
const (
	US Layout = iota
	UK
	DE // Germany, Austria
	FR // AZERTY
	ES // Spain
	IT
)

// Layouts gives all layouts.
func Layouts() []Layout { return []Layout{US, UK, DE, FR, ES, IT} }

// LayoutNames gives the names of all layouts, with commas between them.
func LayoutNames() string {
	var names []string
	for _, l := range Layouts() {
		names = append(names, l.String())
	}
	return strings.Join(names, ", ")
}

// ParseLayout reads the name of a layout: us, uk, de, fr, es, it. The empty
// text is US.
func ParseLayout(s string) (Layout, error) {
	name := strings.ToLower(s)
	switch name {
	case "":
		return US, nil
	case "gb":
		return UK, nil
	}
	var names []string
	for _, l := range Layouts() {
		if l.String() == name {
			return l, nil
		}
		names = append(names, l.String())
	}
	return US, fmt.Errorf("no keyboard layout is called %q: there are %s", s, strings.Join(names, ", "))
}

// String gives the layout's name, which ParseLayout reads.
func (l Layout) String() string { return definitions[l].name }

// symbol is what a key gives: a character; if negative, a dead key of that
// character; 0 for nothing.
type symbol rune

// char is the character, dead or not.
func (s symbol) char() rune { return max(rune(s), -rune(s)) }

// The levels of a key.
const (
	onShift = 1 << iota
	onAltGr
	levels = 1 << iota
)

// table is a layout by key.
type table struct {
	symbols [levels][codes]symbol
	locked  [levels][codes]bool // Caps Lock turns Shift round
	control [2][codes]symbol    // with Ctrl, with and without Shift; noControl for nothing
	altGr   bool                // right Alt is AltGr
	decimal rune
}

const noControl symbol = -1

func (l Layout) table() *table {
	d := &definitions[l]
	t := &table{decimal: d.decimal, altGr: d.altGr.rows != [4]string{}}
	t.fill(d)
	us := &table{}
	us.fill(&definitions[US])
	for code := range codes {
		t.lock(code, d.lock)
		for shift := range t.control {
			t.control[shift][code] = control(d, shift, t.symbols[shift][code], us.symbols[shift][code])
		}
	}
	return t
}

func (t *table) fill(d *definition) {
	for at, lv := range [levels]level{0: d.plain, onShift: d.shift, onAltGr: d.altGr, onAltGr | onShift: d.altGrShift} {
		for i, row := range lv.rows {
			keys := rows[i]
			for _, r := range row {
				switch {
				case strings.ContainsRune(lv.dead, r):
					t.symbols[at][keys[0]] = symbol(-r)
				case r != ' ':
					t.symbols[at][keys[0]] = symbol(r)
				}
				keys = keys[1:]
			}
		}
	}
}

// lock notes at which levels Caps Lock matters to a key: where it has a letter
// and its capital, and where the layout says so.
func (t *table) lock(code int, also string) {
	plain := t.symbols[0][code]
	for at := range t.symbols {
		small, capital := t.symbols[at&onAltGr][code], t.symbols[at|onShift][code]
		letter := small != capital && unicode.ToUpper(rune(small)) == rune(capital)
		t.locked[at][code] = letter || at&onAltGr == 0 && plain != 0 && strings.ContainsRune(also, plain.char())
	}
}

// control gives the control character that a key gives with Ctrl: that of the
// layout's character on it, as Ctrl+] is GS; if it has none, that of the sign
// which the key has in the United States. Windows does the same, except that its
// tables have gaps. Dead keys do not count.
func control(d *definition, shift int, here, us symbol) symbol {
	if shift == onShift {
		for pair := d.ctrlShift; pair != ""; pair = pair[2:] {
			if symbol(pair[0]) == here {
				return symbol(pair[1])
			}
		}
	}
	if r := unicode.ToUpper(rune(here)); r >= '@' && r <= '_' {
		return symbol(r & 0x1f)
	}
	if strings.ContainsRune(`@[\]^_`, rune(us)) {
		return us & 0x1f
	}
	return noControl
}

// compose gives the letter that a dead key makes of another, or 0.
func compose(dead, letter rune) rune {
	for _, a := range accents {
		if a.dead != dead {
			continue
		}
		pressed := rune(0)
		for _, r := range a.pairs {
			switch pressed {
			case 0:
				pressed = r
				continue
			case letter:
				return r
			}
			pressed = 0
		}
	}
	return 0
}
