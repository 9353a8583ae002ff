package gs1

import (
	"slices"
	"strconv"
	"strings"
)

// GS (ASCII 29) is how scanners send the FNC1 that ends an element of variable
// length.
const GS = "\x1d"

// Element is one application identifier with its data.
type Element struct {
	AI    string `json:"ai"`    // 2 to 4 digits
	Title string `json:"title"` // data title of the General Specifications; empty for an AI that GS1 has not given out
	Value string `json:"value"`
	At    int    `json:"at"` // where the AI begins, in bytes from the label's beginning
}

// ElementError is what is wrong with a label that holds elements.
type ElementError struct {
	AI     string // empty if it is about no AI that could be read
	At     int    // the byte from which on the label is wrong; -1 if it is empty
	Reason string // a clause about the element's data, or about the whole label
	Err    error  // a *CheckDigitError, or nil
}

func (e *ElementError) Error() string {
	switch {
	case e.At < 0:
		return e.Reason
	case e.AI == "":
		return "byte " + strconv.Itoa(e.At) + ": " + e.Reason
	}
	return "AI (" + e.AI + "), byte " + strconv.Itoa(e.At) + ": " + e.Reason
}

func (e *ElementError) Unwrap() error { return e.Err }

// ParseElements reads an element string as scanners send it, without its
// symbology identifier (GS1 General Specifications 7.8): AIs of predefined
// length stand against what follows, the others end with GS. A first GS is
// passed over, and so is one after an AI of predefined length. Then it holds
// the elements against each other (CheckPairs).
//
// Every element that can be told apart is given, also beside an error. The
// error is an *ElementError, of the first element that is bad.
func ParseElements(s string) ([]Element, error) {
	return checked(AppendElements(nil, s, 0))
}

// ParseBracketed reads elements in their human readable form, each AI in
// parentheses: (01)09506000134352(10)ABC. A value may hold parentheses itself,
// if what they enclose could not be an AI. Else it is as ParseElements.
func ParseBracketed(s string) ([]Element, error) {
	return checked(appendElements(nil, s, 0, nextBracketed))
}

func checked(elements []Element, err error) ([]Element, error) {
	if err == nil {
		err = CheckPairs(elements)
	}
	return elements, err
}

// AppendElements reads an element string as ParseElements does, without holding
// its elements against each other, and appends them to dst: the carriers of one
// label are read one after the other into one slice. at is where the string
// begins in the label. Without an error it allocates nothing but what dst lacks.
func AppendElements(dst []Element, s string, at int) ([]Element, error) {
	if strings.HasPrefix(s, GS) {
		s, at = s[len(GS):], at+len(GS)
	}
	return appendElements(dst, s, at, nextRaw)
}

// FormatElements gives the element string that ParseElements reads.
func FormatElements(elements []Element) string {
	var b strings.Builder
	for i, e := range elements {
		b.WriteString(e.AI)
		b.WriteString(e.Value)
		if i+1 < len(elements) && prefixOf(e.AI).predefined == 0 {
			b.WriteString(GS)
		}
	}
	return b.String()
}

// FormatBracketed gives the human readable form that ParseBracketed reads.
func FormatBracketed(elements []Element) string {
	var b strings.Builder
	for _, e := range elements {
		b.WriteString("(" + e.AI + ")" + e.Value)
	}
	return b.String()
}

// Components parts the data of an element as its AI does: the currency from the
// amount (393n), a key from the serial number behind it (8003). Data that are too
// long, or of an AI that GS1 has not given out, end with all that is left.
func (e Element) Components() []string {
	var parts []string
	rest := e.Value
	if d := lookup(e.AI); d != nil {
		for i := range d.parts {
			n := min(len(rest), int(d.parts[i].most))
			if n > 0 {
				parts = append(parts, rest[:n])
			}
			rest = rest[n:]
		}
	}
	if rest != "" {
		parts = append(parts, rest)
	}
	return parts
}

// Verified reports whether an element's data are good, and begin with a key
// whose check digit says so.
func (e Element) Verified() bool {
	d := lookup(e.AI)
	if d == nil || d.check(e.AI, e.Value, 0) != nil {
		return false
	}
	return slices.ContainsFunc(d.parts, func(c component) bool { return c.lint&lintCsum != 0 })
}

// HasCoupon reports whether the elements are those of a coupon: a Global Coupon
// Number (255) or a North American coupon (8110, 8112, and the withdrawn 8100
// to 8102 that stood beside a UPC-A).
func HasCoupon(elements []Element) bool {
	return slices.ContainsFunc(elements, func(e Element) bool {
		switch e.AI {
		case "255", "8100", "8101", "8102", "8110", "8112":
			return true
		}
		return false
	})
}

// cut takes the first element off s: n bytes of it.
type cut func(s string) (e Element, n int, reason string)

func appendElements(dst []Element, s string, at int, next cut) ([]Element, error) {
	if s == "" {
		return dst, &ElementError{At: -1, Reason: "there are no elements in it"}
	}
	var first *ElementError
	for s != "" {
		e, n, reason := next(s)
		if reason != "" {
			if first == nil {
				first = &ElementError{At: at, Reason: reason}
			}
			break
		}
		d := lookup(e.AI)
		e.Title, e.At = d.name(), e.At+at
		dst = append(dst, e)
		if first == nil {
			first = d.check(e.AI, e.Value, e.At+e.valueAt(s))
		}
		s, at = s[n:], at+n
	}
	if first != nil {
		return dst, first
	}
	return dst, nil
}

// valueAt is how far an element's data stand behind its AI in s, which begins
// with it.
func (e *Element) valueAt(s string) int {
	if s[0] == '(' {
		return len(e.AI) + 1 // At is that of the AI's first digit
	}
	return len(e.AI)
}

func (d *definition) name() string {
	switch {
	case d == nil:
		return ""
	case d.title == "": // the North American coupons, which the dictionary does not name
		return "COUPON CODE"
	}
	return d.title
}

func nextRaw(s string) (e Element, n int, reason string) {
	ai, reason := leadingAI(s)
	if reason != "" {
		return e, 0, reason
	}
	body := s[len(ai):]
	value, _, ended := strings.Cut(body, GS)
	if n := int(prefixOf(ai).predefined); n > 0 && len(value) >= n {
		value, ended = body[:n], strings.HasPrefix(body[n:], GS)
	}
	n = len(ai) + len(value)
	if ended {
		n += len(GS)
	}
	return Element{AI: ai, Value: value}, n, ""
}

func nextBracketed(s string) (e Element, n int, reason string) {
	ai, ok := bracketedAI(s)
	if !ok {
		return e, 0, "no known AI in parentheses where one should stand"
	}
	body := s[len(ai)+2:]
	end := len(body)
	for i := range len(body) {
		if _, ok := bracketedAI(body[i:]); ok {
			end = i
			break
		}
	}
	return Element{AI: ai, Value: body[:end], At: 1}, len(ai) + 2 + end, ""
}

// bracketedAI gives the AI that s starts with in parentheses.
func bracketedAI(s string) (ai string, ok bool) {
	if len(s) < 4 || s[0] != '(' {
		return "", false
	}
	ai, reason := leadingAI(s[1:])
	return ai, reason == "" && len(s) > len(ai)+1 && s[len(ai)+1] == ')'
}

// leadingAI gives the AI that s starts with.
func leadingAI(s string) (ai, reason string) {
	n := int(prefixOf(s).length)
	switch {
	case n == 0:
		return "", "no known AI where one should stand"
	case len(s) < n || !IsDigits(s[:n]):
		return "", "an AI is cut off"
	}
	return s[:n], ""
}
