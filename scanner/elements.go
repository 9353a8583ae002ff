package scanner

import (
	"strings"

	"posd/gs1"
)

// compositeMark parts a linear code from the composite component above it. What
// follows another such mark, |]e1 to |]e3, is no element string.
const compositeMark = "|]e"

// mostElements is how many elements are read without an allocation.
const mostElements = 16

// cutComposite parts a label from the element string of a composite component.
// at is where that begins.
func cutComposite(text string) (main, composite string, at int) {
	i := strings.Index(text, compositeMark)
	if i < 0 {
		return text, "", 0
	}
	at = i + len(compositeMark) + 1
	if at > len(text) || text[at-1] != '0' {
		return text[:i], "", 0
	}
	composite, _, _ = strings.Cut(text[at:], compositeMark)
	return text[:i], composite, at
}

// gs1 reads a label that its identifier says to hold GS1 elements.
func (d *decoder) gs1() {
	main, _, _ := cutComposite(d.text)
	d.Label, d.Symbology, d.form = strings.TrimPrefix(main, gs1.GS), d.id.symbology, elements
	switch d.id.symbology {
	case dataBar, GS1DataBar, GS1DataBarT2:
		d.dataBar()
	}
	d.elements()
}

// dataBar tells omnidirectional DataBar from expanded, which identifiers do not:
// a GTIN alone is taken for the first, whose label in UnifiedPOS is the 14
// digits without AI (01).
func (d *decoder) dataBar() {
	digits := d.Label
	if len(digits) == 16 && strings.HasPrefix(digits, "01") {
		digits = digits[2:]
	}
	single := len(digits) == 14 && gs1.IsDigits(digits)
	switch {
	case single && d.Symbology != GS1DataBarT2:
		d.Symbology, d.Label = GS1DataBar, digits
	case single:
		d.Label = digits
	case d.Symbology == dataBar:
		d.Symbology = GS1DataBarE
	}
}

// elements reads the elements of a label of that form: kind and GTIN by its
// AIs.
func (d *decoder) elements() {
	var buf [mostElements]gs1.Element
	all, err := d.append(buf[:0])
	if err == nil {
		d.pairs(all)
	}
	d.fail(err)
	d.GTIN, d.Kind = meaning(all)
}

// append appends the elements of a label, with those of a composite component
// beside it: all that can be told apart. The error is the first's.
func (s *Scan) append(dst []gs1.Element) ([]gs1.Element, error) {
	var err error
	main, composite, at := cutComposite(s.text)
	switch {
	case s.form == link:
		dst, _, err = gs1.AppendLink(dst, s.Label)
		return dst, err
	case s.form == elements && (s.Symbology == GS1DataBar || s.Symbology == GS1DataBarT2) && len(s.Label) == 14:
		dst, err = appendGTIN(dst, s.Label, len(main)-len(s.Label))
	case s.form == elements:
		dst, err = gs1.AppendElements(dst, main, 0)
	}
	if composite != "" && (s.form == elements || s.Symbology.isUPCEAN()) {
		more, compositeErr := gs1.AppendElements(dst, composite, at)
		if dst = more; err == nil {
			err = compositeErr
		}
	}
	return dst, err
}

// appendGTIN appends AI (01) for digits that stand without it.
func appendGTIN(dst []gs1.Element, digits string, at int) ([]gs1.Element, error) {
	dst = append(dst, gs1.Element{AI: "01", Title: "GTIN", Value: digits, At: max(at-2, 0)})
	if err := gs1.VerifyCheckDigit(digits); err != nil {
		return dst, &gs1.ElementError{AI: "01", At: at + len(digits) - 1, Reason: err.Error(), Err: err}
	}
	return dst, nil
}

// pairs holds the elements of all carriers of the label against each other.
func (d *decoder) pairs(all []gs1.Element) {
	if err := gs1.CheckPairs(all); err != nil {
		d.failAs(CodePairs, err)
	}
}

// composite reads the component above an EAN or UPC: its elements stand beside
// the GTIN of that.
func (d *decoder) composite() {
	var buf [mostElements]gs1.Element
	all, err := d.Scan.append(append(buf[:0], gs1.Element{AI: "01", Value: string(d.GTIN)}))
	if err == nil && d.GTIN != "" {
		d.pairs(all)
	}
	d.fail(err)
	if gs1.HasCoupon(all[1:]) {
		d.Kind = Coupon
	}
}

// link reads a label that is a Digital Link, if it is one.
func (d *decoder) link() bool {
	if d.Label == "" || d.Label[0]|0x20 != 'h' {
		return false
	}
	var buf [mostElements]gs1.Element
	all, isLink, err := gs1.AppendLink(buf[:0], d.Label)
	if !isLink {
		return false
	}
	d.form = link
	if err == nil {
		d.pairs(all)
	}
	d.fail(err)
	d.GTIN, d.Kind = meaning(all)
	return true
}

// meaning gives the GTIN of elements, if it is good, and what they are.
func meaning(all []gs1.Element) (gs1.GTIN, Kind) {
	var gtin gs1.GTIN
	kind := Other
	for i := range all {
		if all[i].AI == "01" && gtin == "" {
			gtin, _ = gs1.ParseGTIN(all[i].Value)
			kind = Item
		}
	}
	if gs1.HasCoupon(all) {
		kind = Coupon
	}
	return gtin, kind
}

// longestCard is the most digits of the number of a card (ISO/IEC 7812-1).
const longestCard = 19

// looksGS1 reports whether a label of no known symbology is an element string:
// it reads as one from end to end, and either holds GS, or is longer than any
// number of a card and lacks no AI.
func looksGS1(label string) bool {
	separated := strings.Contains(label, gs1.GS)
	if len(label) <= longestCard && !separated {
		return false
	}
	var buf [mostElements]gs1.Element
	all, err := gs1.AppendElements(buf[:0], label, 0)
	return err == nil && (separated || gs1.CheckPairs(all) == nil)
}

// Elements gives the GS1 elements of a label, with those of a composite
// component beside it: all that can be told apart, also in a bad label. It is
// empty for labels that hold none.
func (s Scan) Elements() []gs1.Element {
	if s.text == "" {
		s.guess()
	}
	all, _ := s.append(nil)
	return all
}

// guess completes a scan that Decode has not made: what its form is.
func (s *Scan) guess() {
	s.text = s.Label
	if _, rest, ok := strings.Cut(string(s.Data), compositeMark); ok {
		s.text += compositeMark + rest
	}
	switch _, isLink, _ := gs1.AppendLink(nil, s.Label); {
	case isLink:
		s.form = link
	case s.Symbology.isGS1(), (s.Symbology == Unknown || s.Symbology == OtherType) && looksGS1(s.Label):
		s.form = elements
	}
}
