package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// entry is one line of the dictionary: an AI, or a range of AIs.
type entry struct {
	from, to   string
	predefined bool // "*": no FNC1 is needed after it
	attribute  bool // "?": may stand in the query of a Digital Link URI
	parts      []component
	key        bool   // "dlpkey": may be the primary key of a Digital Link URI
	qualifiers string // of the key: "22,10,21|235"
	req        string // groups that must all be met, parted by ";"
	ex         string
	title      string
}

// component is one part of an AI's data.
type component struct {
	set         byte // N, X, Y or Z
	least, most int
	optional    bool
	linters     []string
}

// dictionary is the file as it was read.
type dictionary struct {
	release string
	entries []entry
}

func parse(text string) (dictionary, error) {
	var d dictionary
	for i, line := range strings.Split(text, "\n") {
		if release, ok := strings.CutPrefix(line, "# Release: "); ok {
			d.release = strings.TrimSpace(release)
		}
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		e, err := parseEntry(line)
		if err != nil {
			return dictionary{}, fmt.Errorf("line %d: %w", i+1, err)
		}
		d.entries = append(d.entries, e)
	}
	if d.release == "" {
		return dictionary{}, fmt.Errorf("no line says which release it is")
	}
	return d, d.check()
}

var (
	aisForm       = regexp.MustCompile(`^([0-9]{2,4})(?:-([0-9]{2,4}))?$`)
	componentForm = regexp.MustCompile(`^(\[)?([NXYZ])(\.\.)?([0-9]{1,2})(\])?((?:,[a-z0-9]+)*)$`)
	pairsForm     = regexp.MustCompile(`^[0-9]+n*(?:\+[0-9]+n*)*(?:,[0-9]+n*(?:\+[0-9]+n*)*)*$`)
	keysForm      = regexp.MustCompile(`^[0-9]+(?:[,|][0-9]+)*$`)
)

func parseEntry(line string) (e entry, err error) {
	line, title, _ := strings.Cut(line, "#")
	e.title = strings.TrimSpace(title)
	fields := strings.Fields(line)
	ais := aisForm.FindStringSubmatch(fields[0])
	if ais == nil {
		return e, fmt.Errorf("%q is no AI and no range of AIs", fields[0])
	}
	e.from, e.to = ais[1], ais[1]
	if ais[2] != "" {
		e.to = ais[2]
	}
	for _, field := range fields[1:] {
		if err := e.add(field); err != nil {
			return e, fmt.Errorf("AI %s: %w", fields[0], err)
		}
	}
	if len(e.parts) == 0 {
		return e, fmt.Errorf("AI %s: no component", fields[0])
	}
	return e, nil
}

// add takes in a flag, component or attribute.
func (e *entry) add(field string) error {
	name, value, _ := strings.Cut(field, "=")
	switch {
	case strings.Trim(field, "*?") == "":
		e.predefined, e.attribute = strings.Contains(field, "*"), strings.Contains(field, "?")
	case componentForm.MatchString(field):
		e.parts = append(e.parts, parseComponent(field))
	case field == "dlpkey":
		e.key = true
	case name == "dlpkey" && keysForm.MatchString(value):
		e.key, e.qualifiers = true, value
	case name == "req" && pairsForm.MatchString(value):
		e.req = strings.TrimPrefix(e.req+";"+value, ";")
	case name == "ex" && pairsForm.MatchString(value) && !strings.Contains(value, "+"):
		e.ex = strings.TrimPrefix(e.ex+","+value, ",")
	default:
		return fmt.Errorf("%q is no flag, component or attribute that is known", field)
	}
	return nil
}

func parseComponent(field string) component {
	m := componentForm.FindStringSubmatch(field)
	c := component{set: m[2][0], optional: m[1] != ""}
	c.most, _ = strconv.Atoi(m[4])
	if c.least = c.most; m[3] != "" {
		c.least = 1
	}
	if m[6] != "" {
		c.linters = strings.Split(m[6][1:], ",")
	}
	return c
}

// check holds the entries against what package gs1 takes for granted.
func (d dictionary) check() error {
	last, lengths := "", map[string]int{}
	for _, e := range d.entries {
		switch {
		case e.from <= last || e.to < e.from || len(e.from) != len(e.to) || e.from[:2] != e.to[:2] && len(e.from) > 2:
			return fmt.Errorf("AI %s: it is not in order", e.from)
		case e.title == "" && e.key:
			return fmt.Errorf("AI %s: it has no title", e.from)
		}
		last = e.to
		if n := lengths[e.from[:2]]; n != 0 && n != len(e.from) {
			return fmt.Errorf("AI %s: others that begin like it have %d digits", e.from, n)
		}
		lengths[e.from[:2]] = len(e.from)
		if err := e.check(); err != nil {
			return fmt.Errorf("AI %s: %w", e.from, err)
		}
	}
	return nil
}

func (e entry) check() error {
	total, optional, fixed := 0, false, true
	for i, c := range e.parts {
		total += c.most
		fixed = fixed && c.least == c.most && !c.optional
		if optional && !c.optional || c.least < c.most && i+1 < len(e.parts) {
			return fmt.Errorf("a component follows one that may be left out or vary")
		}
		optional = c.optional
	}
	n := predefined(e.from)
	if e.predefined != (n > 0) || n > 0 && (!fixed || total != n) {
		return fmt.Errorf("its length is not the one that its first two digits tell")
	}
	return nil
}

// predefined is the length of the data of an AI that needs no FNC1 after it, by
// its first two digits, for AIs still to be given out too: 0 if it needs one
// (GS1 General Specifications figure 7.8.5-2, save 23, which GS1 gave to an AI
// of variable length).
func predefined(ai string) int {
	switch ai[:2] {
	case "00":
		return 18
	case "01", "02", "03":
		return 14
	case "04":
		return 16
	case "11", "12", "13", "14", "15", "16", "17", "18", "19":
		return 6
	case "20":
		return 2
	case "31", "32", "33", "34", "35", "36":
		return 6
	case "41":
		return 13
	}
	return 0
}
