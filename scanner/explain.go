package scanner

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"posd/gs1"
)

// Explanation says what a label means.
type Explanation struct {
	Symbology  Symbology     `json:"symbology"`
	Label      string        `json:"label"`          // as Scan.Label
	Text       string        `json:"text,omitempty"` // behind the identifier, where that is more than the label
	Kind       Kind          `json:"kind"`
	GTIN       gs1.GTIN      `json:"gtin,omitempty"`
	Reference  gs1.GTIN      `json:"reference,omitempty"`   // to look the item up by, if that is not GTIN
	CheckDigit *CheckDigit   `json:"check_digit,omitempty"` // of the label, or of its GTIN
	AddOn      string        `json:"add_on,omitempty"`
	Price      *gs1.Price    `json:"price,omitempty"`
	Weight     *gs1.Weight   `json:"weight,omitempty"`
	Link       bool          `json:"digital_link,omitempty"` // it is the URI of one
	Elements   []WordElement `json:"elements,omitempty"`
	Error      string        `json:"error,omitempty"`    // what is wrong with the label
	ErrorAt    *int          `json:"error_at,omitempty"` // the byte of Text, or else of Label, from which on it is
}

// WordElement is an element with what its data mean.
type WordElement struct {
	gs1.Element
	Meaning string `json:"meaning,omitempty"`
}

// CheckDigit is the check digit of a number.
type CheckDigit struct {
	Given    string `json:"given"` // empty if the label leaves it out
	Computed string `json:"computed"`
	OK       bool   `json:"ok"`
}

// gsEscapes are ways to type the character GS on a command line.
var gsEscapes = []string{"<GS>", gs1.GS, `\x1d`, gs1.GS, `\x1D`, gs1.GS}

// Explain says what a label means to a person who asks for it: digits alone,
// with or without the check digit of a UPC-E; a label behind its AIM
// identifier; the URI of a Digital Link; or an element string in its human
// readable form, (01)... . GS may be written <GS>. year is the present one, and
// patterns are the shop's for goods of random weight.
func Explain(label string, year int, patterns []gs1.Pattern) Explanation {
	label = strings.NewReplacer(gsEscapes...).Replace(strings.TrimSpace(label))
	e := explain(label, patterns)
	for i := range e.Elements {
		e.Elements[i].Meaning = e.Elements[i].Words(year)
	}
	return e
}

func explain(label string, patterns []gs1.Pattern) Explanation {
	if strings.HasPrefix(label, "(") {
		return explainBracketed(label)
	}
	if n := len(label); (n == 6 || n == 7) && gs1.IsDigits(label) {
		return explainShort(label)
	}
	s := Decode([]byte(label), Options{})
	e := Explanation{Symbology: s.Symbology, Label: s.Label, Kind: s.Kind, GTIN: s.GTIN, AddOn: s.AddOn, Link: s.form == link}
	if strings.Contains(s.text, compositeMark) || s.Problem != nil && s.Problem.At >= 0 && s.text != s.Label {
		e.Text = s.text
	}
	e.setElements(s.Elements())
	if s.Problem != nil {
		e.Error = s.Problem.Reason
		e.setErrorAt(s.Problem.At)
	}
	if s.Symbology == Unknown {
		e.explainUnknown()
	}
	e.measure(s.Measure(patterns))
	e.CheckDigit = e.checkDigit()
	return e
}

func (e *Explanation) setElements(all []gs1.Element) {
	e.Elements = nil
	for _, element := range all {
		e.Elements = append(e.Elements, WordElement{Element: element})
	}
}

func (e *Explanation) setErrorAt(at int) {
	if at >= 0 {
		e.ErrorAt = &at
	}
}

func (e *Explanation) measure(m gs1.Measure) {
	e.Reference, e.Price, e.Weight = m.Reference, m.Price, m.Weight
	if e.Error == "" {
		e.Error = m.Problem
	}
}

// explainUnknown says more of a label that no identifier stands before than a
// lane may take for granted.
func (e *Explanation) explainUnknown() {
	switch n := len(e.Label); {
	case !gs1.IsDigits(e.Label) || len(e.Elements) > 0:
	case n == 13:
		e.Symbology, e.Kind = EAN13, Item
	case n == 14:
		e.Symbology, e.Kind = ITF, Item
	case n == 16 && strings.HasPrefix(e.Label, "01"):
		e.explainElements(gs1.ParseElements(e.Label))
	case e.Error == "":
		e.Error = fmt.Sprintf("%d digits are no UPC, EAN or GTIN: these have 6, 7, 8, 12, 13 or 14", n)
	}
}

func (e *Explanation) explainElements(all []gs1.Element, err error) {
	e.setElements(all)
	e.GTIN, e.Kind = meaning(all)
	if p, ok := gs1.PriceOf(all); ok {
		e.Price = &p
	}
	if w, ok := gs1.WeightOf(all); ok {
		e.Weight = &w
	}
	var bad *gs1.ElementError
	if errors.As(err, &bad) {
		e.Error = err.Error()
		e.setErrorAt(bad.At)
	}
}

func explainBracketed(label string) Explanation {
	e := Explanation{Symbology: Unknown, Label: label}
	all, err := gs1.ParseBracketed(label)
	e.explainElements(all, err)
	e.CheckDigit = e.checkDigit()
	return e
}

// explainShort explains the 6 or 7 digits of a UPC-E without its check digit.
func explainShort(digits string) Explanation {
	e := Explanation{Symbology: UPCE, Label: digits, Kind: Item}
	upca, err := gs1.ExpandUPCE(digits)
	if err != nil {
		e.Error = err.Error()
		return e
	}
	check := upca[11:]
	e.Label = ("0" + digits)[len(digits)-6:] + check
	e.GTIN, _ = gs1.ParseGTIN(upca)
	e.CheckDigit = &CheckDigit{Computed: check, OK: true}
	if e.GTIN.IsCoupon() {
		e.Kind = Coupon
	}
	return e
}

// checkDigit gives the check digit of a label that is a number of trade items,
// or of the GTIN among its elements.
func (e *Explanation) checkDigit() *CheckDigit {
	digits := e.Label
	switch i := slices.IndexFunc(e.Elements, func(element WordElement) bool { return element.AI == "01" }); {
	case i >= 0:
		if digits = e.Elements[i].Value; len(digits) != 14 {
			return nil
		}
	case e.Symbology == UPCE || e.Symbology == UPCES:
		return upceCheckDigit(digits)
	case e.Symbology == ITF && len(digits) != 14 || e.Symbology != ITF && !e.Symbology.isUPCEAN():
		return nil
	}
	var wrong *gs1.CheckDigitError
	switch err := gs1.VerifyCheckDigit(digits); {
	case errors.As(err, &wrong):
		return &CheckDigit{string(wrong.Given), string(wrong.Computed), false}
	case err != nil:
		return nil
	}
	last := digits[len(digits)-1:]
	return &CheckDigit{last, last, true}
}

func upceCheckDigit(digits string) *CheckDigit {
	if len(digits) != 8 {
		return nil
	}
	upca, err := gs1.ExpandUPCE(digits[:7])
	if err != nil {
		return nil
	}
	return &CheckDigit{digits[7:], upca[11:], digits[7:] == upca[11:]}
}
