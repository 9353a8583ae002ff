// Package scanner makes scans of what bar code scanners send: it splits a
// serial stream into frames, tells the symbology by the identifier before a
// label (AIM, or a vendor's own) or by the digits alone, verifies check digits,
// and finds the GTIN. It is pure: bytes and times in, values out.
//
// Names are those of UnifiedPOS: ScanData is what the scanner sent,
// ScanDataLabel the label in it, ScanDataType the symbology.
package scanner

import "posd/gs1"

// Scan is one label.
type Scan struct {
	Data      []byte    // UnifiedPOS ScanData: as sent, less prefix and terminator
	Label     string    // UnifiedPOS ScanDataLabel: without identifier and add-on, with check digit; empty if Data is not text
	Symbology Symbology // UnifiedPOS ScanDataType
	GTIN      gs1.GTIN  // empty if the label holds none, or a bad one
	AddOn     string    // 2 or 5 digits beside an EAN or UPC
	Kind      Kind
	Problem   *Problem // nil if the label is good; a bad one is still delivered

	text string // behind the identifier, as it was sent; empty if the scan is not one of Decode's
	form form
}

// form is what a label is built as.
type form uint8

const (
	plain    form = iota
	elements      // a GS1 element string
	link          // a GS1 Digital Link URI
)

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
	Reason string `json:"reason"` // names the AI and byte where there is one
	At     int    `json:"at"`     // the byte from which on the label is wrong; -1 if nothing tells. Bytes count from behind the identifier.
}

// The codes of problems.
const (
	CodeCheckDigit       = "check-digit"
	CodeLength           = "length"            // not as many digits as the symbology has
	CodeCharset          = "charset"           // other characters than the symbology has
	CodeUnknownSymbology = "unknown-symbology" // no identifier, or one that the preset does not have
	CodeAmbiguous        = "ambiguous"         // right as two symbologies
	CodeElements         = "elements"          // bad GS1 elements
	CodePairs            = "pairs"             // GS1 elements that do not go together, or lack another
	CodeLink             = "digital-link"      // a GS1 Digital Link that is badly built, or compressed
	CodeMeasure          = "measure"           // the check digit of a price or weight is wrong
	CodeFormat           = "format"            // digits that the symbology cannot hold
	CodeNotText          = "not-text"
	CodeEmpty            = "empty"
)
