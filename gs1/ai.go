package gs1

import "strings"

//go:generate go run ./internal/gentable table_gen.go

// definition is what the GS1 Barcode Syntax Dictionary says of an application
// identifier (AI), or of a range of them.
type definition struct {
	from, to   string
	flags      flags
	parts      []component
	req        string // AIs one of which must stand beside it: "01+21,35nn"; groups parted by ";" must all be met
	ex         string // AIs none of which may
	qualifiers string // of a key of a Digital Link, in order: "22,10,21|235"
	title      string
}

type flags uint8

const (
	predefined flags = 1 << iota // of a length that its first two digits tell: no FNC1 is needed after it
	attribute                    // may stand in the query of a Digital Link
	key                          // may be the primary key of a Digital Link
)

// component is one part of an AI's data.
type component struct {
	set         byte // N digits, X 82 characters, Y 39 of them, Z those of base64url
	least, most uint8
	optional    bool // may be left out, with all that follow it
	lint        lint
}

// prefix is what the first two digits of an AI tell.
type prefix struct {
	length     uint8 // of the AI; 0 if no AI begins like it
	predefined uint8 // length of its data; 0 if FNC1 ends it
	first      uint8 // of the definitions that begin like it
	count      uint8
}

// prefixOf gives what the first two characters of s tell.
func prefixOf(s string) (p prefix) {
	if len(s) >= 2 && isDigit(s[0]) && isDigit(s[1]) {
		p = prefixes[int(s[0]-'0')*10+int(s[1]-'0')]
	}
	return p
}

// lookup gives the definition of an AI, nil if GS1 has given out no such AI.
func lookup(ai string) *definition {
	p := prefixOf(ai)
	for i := int(p.first); i < int(p.first)+int(p.count); i++ {
		if d := &definitions[i]; len(d.from) == len(ai) && d.from <= ai && ai <= d.to {
			return d
		}
	}
	return nil
}

func (d *definition) has(f flags) bool { return d != nil && d.flags&f != 0 }

// check holds a value against a definition, component by component. at is
// where the value begins in the label. It is nil if the value is good.
func (d *definition) check(ai, value string, at int) *ElementError {
	if d == nil {
		return &ElementError{AI: ai, At: at - len(ai), Reason: "GS1 has given out no such AI"}
	}
	rest := value
	for i := range d.parts {
		c := &d.parts[i]
		if rest == "" && c.optional {
			return nil
		}
		n := min(len(rest), int(c.most))
		if n < int(c.least) {
			return &ElementError{AI: ai, At: at + len(value), Reason: "its data is too short"}
		}
		if err := c.check(ai, rest[:n], at+len(value)-len(rest)); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if rest != "" {
		return &ElementError{AI: ai, At: at + len(value) - len(rest), Reason: "its data is too long; FNC1 (GS) may be missing after it"}
	}
	return nil
}

func (c *component) check(ai, data string, at int) *ElementError {
	if pos, reason := checkSet(c.set, data); reason != "" {
		return &ElementError{AI: ai, At: at + pos, Reason: reason}
	}
	if c.lint&lintCsum != 0 {
		if wrong, ok := VerifyCheckDigit(data).(*CheckDigitError); ok {
			return &ElementError{AI: ai, At: at + len(data) - 1, Reason: wrong.Error(), Err: wrong}
		}
	}
	if pos, reason := c.lint.check(data); reason != "" {
		return &ElementError{AI: ai, At: at + pos, Reason: reason}
	}
	return nil
}

// Personal reports whether an AI is that of a person: the number of who gives
// or gets a service (GSRN, 8017 and 8018, with 8019), names, birth and other
// data of patients (7241 to 7259), and names, addresses and telephone numbers
// of parcels (4300 to 4319).
func Personal(ai string) bool {
	switch ai {
	case "8017", "8018", "8019":
		return true
	}
	return len(ai) == 4 && (ai >= "7241" && ai <= "7259" || ai >= "4300" && ai <= "4319")
}

// Thing reports whether the data of an AI is a number that GS1's rules give to
// a thing or place: its keys, and what tells things of one key apart (batch,
// serial number and the like, and the IMEI of a telephone, which has the check
// digit of a card's number).
func Thing(ai string) bool {
	switch ai {
	case "10", "21", "22", "235", "254", "7040", "8011", "8040", "8041", "8042", "8043":
		return true
	}
	d := lookup(ai)
	return !Personal(ai) && d != nil && (d.has(key) || d.parts[0].lint&lintCsum != 0)
}

// matches reports whether an AI is the one of a pattern such as 01 or 310n, n
// being any digit.
func matches(pattern, ai string) bool {
	digits := strings.TrimRight(pattern, "n")
	return len(pattern) == len(ai) && strings.HasPrefix(ai, digits)
}
