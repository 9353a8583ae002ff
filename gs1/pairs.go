package gs1

import "strings"

// CheckPairs holds the elements of one label against each other, those of all
// its carriers together: some AIs need others beside them, some must not stand
// with others, and one that stands twice has to say the same. The error is an
// *ElementError whose AI is the one that breaks a rule, and whose At is that
// AI's.
func CheckPairs(elements []Element) error {
	for i := range elements {
		if reason := pairs(elements, i); reason != "" {
			return &ElementError{AI: elements[i].AI, At: elements[i].At, Reason: reason}
		}
	}
	return nil
}

// pairs holds one element against the others.
func pairs(elements []Element, i int) (reason string) {
	e := &elements[i]
	for j := range i {
		if elements[j].AI == e.AI && elements[j].Value != e.Value {
			return "it stands twice, and says two things"
		}
	}
	d := lookup(e.AI)
	if d == nil {
		return ""
	}
	for rest, pattern := d.ex, ""; rest != ""; {
		pattern, rest, _ = strings.Cut(rest, ",")
		if other := find(elements, pattern, e.AI); other != "" {
			return "it must not stand with AI (" + other + ")"
		}
	}
	for rest, group := d.req, ""; rest != ""; {
		group, rest, _ = strings.Cut(rest, ";")
		if !met(elements, group, e.AI) {
			return "it needs another AI beside it: " + strings.NewReplacer(",", " or ", "+", " with ").Replace(group)
		}
	}
	return ""
}

// met reports whether the AIs of one alternative of a group, such as 01+21,02,
// are among the elements.
func met(elements []Element, group, self string) bool {
	for rest, alternative := group, ""; rest != ""; {
		alternative, rest, _ = strings.Cut(rest, ",")
		all := true
		for ais, ai := alternative, ""; ais != "" && all; {
			ai, ais, _ = strings.Cut(ais, "+")
			all = find(elements, ai, self) != ""
		}
		if all {
			return true
		}
	}
	return false
}

// find gives the first AI, other than self, that a pattern matches.
func find(elements []Element, pattern, self string) string {
	for i := range elements {
		if ai := elements[i].AI; ai != self && matches(pattern, ai) {
			return ai
		}
	}
	return ""
}
