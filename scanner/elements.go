package scanner

import (
	"strings"

	"posd/gs1"
)

// gs1 reads a label that its identifier says to hold GS1 elements.
func (d *decoder) gs1() {
	text := strings.TrimPrefix(d.text(), gs1.GS)
	d.Label, d.Symbology = text, d.id.symbology
	switch d.id.symbology {
	case gs1DotCode:
		d.Symbology = OtherType
	case dataBar, GS1DataBar, GS1DataBarT2:
		d.dataBar(text)
		return
	}
	d.elements(text)
}

// dataBar reads DataBar. The identifiers do not tell omnidirectional from
// expanded: a GTIN alone is taken for the first, whose label in UnifiedPOS is
// the 14 digits without AI (01).
func (d *decoder) dataBar(text string) {
	if d.Symbology == dataBar {
		d.Symbology = GS1DataBarE
	}
	digits := text
	if len(text) == 16 && strings.HasPrefix(text, "01") {
		digits = text[2:]
	}
	if len(digits) != 14 || !gs1.IsDigits(digits) {
		d.elements(text)
		return
	}
	if d.Symbology == GS1DataBarE {
		d.Symbology = GS1DataBar
	}
	d.Label, d.Kind = digits, Item
	if err := gs1.VerifyCheckDigit(digits); err != nil {
		d.fail(err)
		return
	}
	d.GTIN = gs1.GTIN(digits)
}

// elements reads an element string: kind and GTIN by its AIs.
func (d *decoder) elements(text string) {
	elements, err := gs1.ParseElements(text)
	if err != nil {
		d.fail(err)
	}
	d.GTIN, d.Kind = meaning(elements)
}

// meaning gives the GTIN of elements, if it is good, and what they are.
func meaning(elements []gs1.Element) (gs1.GTIN, Kind) {
	var gtin gs1.GTIN
	kind := Other
	for _, e := range elements {
		if e.AI == "01" && gtin == "" {
			gtin, _ = gs1.ParseGTIN(e.Value)
			kind = Item
		}
	}
	if gs1.HasCoupon(elements) {
		kind = Coupon
	}
	return gtin, kind
}

// longestCard is the most digits of the number of a card (ISO/IEC 7812-1).
const longestCard = 19

// looksGS1 reports whether a label of no known symbology is an element string:
// it reads as one from end to end, and either holds GS or is longer than any
// number of a card.
func (s Scan) looksGS1() bool {
	if s.Symbology != Unknown && s.Symbology != OtherType {
		return false
	}
	if len(s.Label) <= longestCard && !strings.Contains(s.Label, gs1.GS) {
		return false
	}
	_, err := gs1.ParseElements(s.Label)
	return err == nil
}

// elementString gives the element string of a label: that of a DataBar of a
// GTIN alone lacks the AI.
func elementString(s Scan) string {
	if (s.Symbology == GS1DataBar || s.Symbology == GS1DataBarT2) && len(s.Label) == 14 {
		return "01" + s.Label
	}
	return s.Label
}
