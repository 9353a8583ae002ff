package gs1

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// aiLength is the length of the AIs that start with two digits; 0 if none do
// (GS1 General Specifications 7.8.1 and figure 3.2-1).
func aiLength(two string) int {
	switch two {
	case "23", "24", "25", "40", "41", "42", "71":
		return 3
	case "31", "32", "33", "34", "35", "36", "39", "43", "70", "72", "80", "81", "82":
		return 4
	case "00", "01", "02", "03", "04", "30", "37":
		return 2
	}
	if two[0] == '1' || two[0] == '9' || two == "20" || two == "21" || two == "22" {
		return 2
	}
	return 0
}

// predefined is the length of the data of an AI that needs no FNC1 after it; 0
// if it needs one (GS1 General Specifications figure 7.8.5-2). It goes by the
// first two digits, for AIs still to be given out too.
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

// definition is what the table says of an AI, or of a range of AIs.
type definition struct {
	from, to string
	spec     string // components as the GS1 Barcode Syntax Dictionary writes them
	title    string
}

// lookup gives what is known of an AI: nothing, if its spec is empty.
func lookup(ai string) definition {
	i, found := slices.BinarySearchFunc(definitions[:], ai, func(d definition, ai string) int { return cmp.Compare(d.from, ai) })
	if !found {
		i--
	}
	if i < 0 || definitions[i].to < ai || len(definitions[i].from) != len(ai) {
		return definition{}
	}
	return definitions[i]
}

// check holds a value against the components of its definition: type N
// (digits) or X (any of the 82 characters of ISO/IEC 646 that GS1 allows), its
// length, and a rule for what it says. Components in brackets may be left out.
// The error is an *ElementError or a wrapped *CheckDigitError.
func (d definition) check(ai, value string) error {
	if d.spec == "" {
		return checkUnknown(ai, value)
	}
	for spec := d.spec; spec != ""; {
		var component string
		component, spec, _ = strings.Cut(spec, " ")
		if component[0] == '[' && value == "" {
			return nil
		}
		n, reason := checkComponent(component, value)
		if reason == wrongCheckDigit {
			return fmt.Errorf("AI (%s): %w", ai, VerifyCheckDigit(value[:n]))
		}
		if reason != "" {
			return &ElementError{ai, reason}
		}
		value = value[n:]
	}
	if value != "" {
		return &ElementError{ai, "its data is too long; FNC1 (GS) may be missing after it"}
	}
	return nil
}

// checkUnknown holds what every AI has to hold: its predefined length, or 1 to
// 90 characters.
func checkUnknown(ai, value string) error {
	if n := predefined(ai); n > 0 && len(value) != n {
		return &ElementError{ai, fmt.Sprintf("its data has %d characters, not %d", len(value), n)}
	}
	if value == "" || len(value) > 90 {
		return &ElementError{ai, fmt.Sprintf("its data has %d characters, not 1 to 90", len(value))}
	}
	return nil
}

// checkComponent holds what value starts with against a component. It gives the
// length of that, and what is wrong.
func checkComponent(component, value string) (n int, reason string) {
	format, rule, _ := strings.Cut(component, ",")
	format = strings.Trim(format, "[]")
	n, variable := componentLength(format[1:])
	if variable && value != "" {
		n = min(n, len(value))
	}
	if len(value) < n {
		return 0, "its data is too short"
	}
	if reason := checkCharset(format[0], value[:n]); reason != "" {
		return 0, reason
	}
	return n, checkRule(rule, value[:n])
}

// componentLength reads "14" or "..20".
func componentLength(s string) (n int, variable bool) {
	digits, variable := strings.CutPrefix(s, "..")
	return number(digits), variable
}

func number(digits string) int {
	n := 0
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
	}
	return n
}

// cset82 is GS1 AI encodable character set 82 without digits and letters (GS1
// General Specifications figure 7.11-1).
const cset82 = `!"%&'()*+,-./:;<=>?_`

func checkCharset(set byte, value string) (reason string) {
	for i := range len(value) {
		c := value[i]
		if isDigit(c) {
			continue
		}
		if set == 'N' {
			return "its data may only be digits there"
		}
		if letter := c | 0x20; (letter < 'a' || letter > 'z') && strings.IndexByte(cset82, c) < 0 {
			return "its data holds a character that GS1 does not allow"
		}
	}
	return ""
}

// The reasons that checkRule gives.
const (
	wrongCheckDigit = "its check digit is wrong"
	wrongDate       = "its date is none of the calendar"
	wrongTime       = "its time is none of the clock"
)

func checkRule(rule, value string) (reason string) {
	switch rule {
	case "csum":
		if VerifyCheckDigit(value) != nil {
			return wrongCheckDigit
		}
	case "yymmdd", "yymmd0":
		if !isDate(value, rule == "yymmd0") {
			return wrongDate
		}
	case "hh":
		if number(value) > 23 {
			return wrongTime
		}
	case "mi", "ss":
		if number(value) > 59 {
			return wrongTime
		}
	}
	return ""
}

// isDate reports whether YYMMDD is a date. Day 00 is the last of the month,
// where it is allowed.
func isDate(value string, day0 bool) bool {
	month, day := number(value[2:4]), number(value[4:])
	if month < 1 || month > 12 || day == 0 {
		return month >= 1 && month <= 12 && day0
	}
	days := 31
	switch month {
	case 4, 6, 9, 11:
		days = 30
	case 2:
		days = 28
		if number(value[:2])%4 == 0 { // the years that two digits can mean hold no exception
			days = 29
		}
	}
	return day <= days
}
