package gs1

import (
	"fmt"
	"slices"
	"strings"
)

// GS (ASCII 29) is how scanners send the FNC1 that ends an element of variable
// length.
const GS = "\x1d"

// Element is one application identifier with its data.
type Element struct {
	AI    string `json:"ai"`    // 2 to 4 digits
	Title string `json:"title"` // data title of the General Specifications; empty for an AI that this package does not name
	Value string `json:"value"`
}

// ElementError is an element string that cannot be read, or one that breaks the
// format of one of its AIs.
type ElementError struct {
	AI     string // empty if no AI could be read
	Reason string // a clause about the element's data, or about the whole string
}

func (e *ElementError) Error() string {
	if e.AI == "" {
		return e.Reason
	}
	return "AI (" + e.AI + "): " + e.Reason
}

// ParseElements reads an element string as scanners send it, without its
// symbology identifier (GS1 General Specifications 7.8): AIs of predefined
// length stand against what follows, the others end with GS. A first GS is
// passed over, and so is one after an AI of predefined length.
//
// Every element that can be told apart is given, also beside an error. The
// error is an *ElementError or a wrapped *CheckDigitError of the first that is
// bad.
// An AI that is in no table, but whose length its first digits tell, is given
// without a title.
func ParseElements(s string) ([]Element, error) {
	return parse(strings.TrimPrefix(s, GS), nextRaw)
}

// ParseBracketed reads an element string in its human readable form, each AI
// in parentheses: (01)09506000134352(10)ABC. A value may hold parentheses
// itself, if what they enclose could not be an AI. Errors are as in
// ParseElements.
func ParseBracketed(s string) ([]Element, error) { return parse(s, nextBracketed) }

// FormatElements gives the element string that ParseElements reads.
func FormatElements(elements []Element) string {
	var b strings.Builder
	for i, e := range elements {
		b.WriteString(e.AI)
		b.WriteString(e.Value)
		if i+1 < len(elements) && predefined(e.AI) == 0 {
			b.WriteString(GS)
		}
	}
	return b.String()
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

// cut takes the first element off s.
type cut func(s string) (e Element, rest string, err error)

func parse(s string, next cut) ([]Element, error) {
	if s == "" {
		return nil, &ElementError{Reason: "the element string is empty"}
	}
	elements := make([]Element, 0, 4)
	var first error
	for s != "" {
		e, rest, err := next(s)
		if err != nil {
			if first == nil {
				first = err
			}
			break
		}
		d := lookup(e.AI)
		e.Title = d.title
		elements = append(elements, e)
		if err := d.check(e.AI, e.Value); err != nil && first == nil {
			first = err
		}
		s = rest
	}
	return elements, first
}

func nextRaw(s string) (Element, string, error) {
	ai, err := leadingAI(s)
	if err != nil {
		return Element{}, "", err
	}
	body := s[len(ai):]
	if n := predefined(ai); n > 0 {
		if len(body) < n || strings.Contains(body[:n], GS) {
			return Element{}, "", &ElementError{ai, fmt.Sprintf("its data has not the %d characters it needs", n)}
		}
		return Element{AI: ai, Value: body[:n]}, strings.TrimPrefix(body[n:], GS), nil
	}
	value, rest, _ := strings.Cut(body, GS)
	return Element{AI: ai, Value: value}, rest, nil
}

func nextBracketed(s string) (Element, string, error) {
	ai, ok := bracketedAI(s)
	if !ok {
		return Element{}, "", &ElementError{Reason: "no known AI in parentheses where one should stand"}
	}
	body := s[len(ai)+2:]
	end := len(body)
	for i := range len(body) {
		if _, ok := bracketedAI(body[i:]); ok {
			end = i
			break
		}
	}
	if strings.Contains(body[:end], GS) {
		return Element{}, "", &ElementError{ai, "GS has no place in the human readable form"}
	}
	return Element{AI: ai, Value: body[:end]}, body[end:], nil
}

// bracketedAI gives the AI that s starts with in parentheses.
func bracketedAI(s string) (ai string, ok bool) {
	if len(s) < 4 || s[0] != '(' {
		return "", false
	}
	ai, err := leadingAI(s[1:])
	return ai, err == nil && len(s) > len(ai)+1 && s[len(ai)+1] == ')'
}

// leadingAI gives the AI that s starts with.
func leadingAI(s string) (string, error) {
	n := 0
	if len(s) >= 2 {
		n = aiLength(s[:2])
	}
	switch {
	case n == 0:
		return "", &ElementError{Reason: "no known AI where one should stand"}
	case len(s) < n || !IsDigits(s[:n]):
		return "", &ElementError{Reason: "an AI is cut off"}
	}
	return s[:n], nil
}
