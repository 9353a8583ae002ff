// Package scanner makes scans of what bar code scanners send: it splits a
// serial stream into frames, tells the symbology by the identifier before a
// label (AIM, or a vendor's own) or by the digits alone, verifies check digits,
// and finds the GTIN. It is pure: bytes and times in, values out.
//
// Names are those of UnifiedPOS: ScanData is what the scanner sent,
// ScanDataLabel the label in it, ScanDataType the symbology.
package scanner

import (
	"strings"

	"posd/gs1"
)

// Scan is one label.
type Scan struct {
	Data      []byte    // UnifiedPOS ScanData: as sent, less prefix and terminator
	Label     string    // UnifiedPOS ScanDataLabel: without identifier and add-on, with check digit; empty if Data is not text
	Symbology Symbology // UnifiedPOS ScanDataType
	GTIN      gs1.GTIN  // empty if the label holds none, or a bad one
	AddOn     string    // 2 or 5 digits beside an EAN or UPC
	Kind      Kind
	Problem   *Problem // nil if the label is good; a bad one is still delivered
}

// Kind is what a label is by itself, whatever the shop does with it.
type Kind string

// The kinds of label.
const (
	Item   Kind = "item"   // a trade item: an EAN or UPC, or a label with a GTIN
	Coupon Kind = "coupon" // of a manufacturer or retailer
	Other  Kind = "other"
)

// Problem says what is wrong with a label. Its reason repeats nothing of the
// label but a check digit.
type Problem struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// The codes of problems.
const (
	CodeCheckDigit       = "check-digit"
	CodeLength           = "length"            // not as many digits as the symbology has
	CodeCharset          = "charset"           // other characters than the symbology has
	CodeUnknownSymbology = "unknown-symbology" // no identifier, or one that the preset does not have
	CodeElements         = "elements"          // a bad GS1 element string
	CodeFormat           = "format"            // digits that the symbology cannot hold
	CodeNotText          = "not-text"
	CodeEmpty            = "empty"
)

// Elements gives the GS1 elements of a label, with those of a composite
// component beside it: all that can be told apart, also in a bad label. It is
// empty for labels that hold none.
func (s Scan) Elements() []gs1.Element {
	var elements []gs1.Element
	if s.Symbology.isGS1() || s.looksGS1() {
		elements, _ = gs1.ParseElements(elementString(s))
	}
	if _, composite, ok := strings.Cut(string(s.Data), compositeMark); ok && s.Symbology.isUPCEAN() {
		more, _ := gs1.ParseElements(composite)
		elements = append(elements, more...)
	}
	return elements
}
