package scanner

import "strings"

// Symbology is the type of a bar code, as UnifiedPOS spells it without
// SCAN_SDT_.
type Symbology string

// The symbologies that are told apart. UnifiedPOS has no name for a composite
// beside an EAN or UPC: it goes by the linear part.
const (
	UPCA          Symbology = "UPCA"
	UPCAS         Symbology = "UPCA_S" // _S: with an add-on (supplemental bar code)
	UPCE          Symbology = "UPCE"
	UPCES         Symbology = "UPCE_S"
	EAN8          Symbology = "EAN8"
	EAN8S         Symbology = "EAN8_S"
	EAN13         Symbology = "EAN13"
	EAN13S        Symbology = "EAN13_S"
	TF            Symbology = "TF" // standard or discrete 2 of 5
	ITF           Symbology = "ITF"
	Codabar       Symbology = "Codabar"
	Code39        Symbology = "Code39"
	Code93        Symbology = "Code93"
	Code128       Symbology = "Code128"
	EAN128        Symbology = "EAN128" // GS1-128
	OCRA          Symbology = "OCRA"
	OCRB          Symbology = "OCRB"
	GS1DataBar    Symbology = "GS1DATABAR"       // omnidirectional: a GTIN alone
	GS1DataBarE   Symbology = "GS1DATABAR_E"     // expanded
	GS1DataBarT2  Symbology = "GS1DATABAR_TYPE2" // limited
	TFMAT         Symbology = "TFMAT"            // matrix 2 of 5
	Code32        Symbology = "Code32"
	TriOptic39    Symbology = "TRIOPTIC39"
	ISBT128       Symbology = "ISBT128"
	Code11        Symbology = "Code11"
	MSI           Symbology = "MSI"
	Plessey       Symbology = "PLESSEY"
	Telepen       Symbology = "TELEPEN"
	PDF417        Symbology = "PDF417"
	MaxiCode      Symbology = "MAXICODE"
	DataMatrix    Symbology = "DATAMATRIX"
	QRCode        Symbology = "QRCODE"
	MicroQRCode   Symbology = "UQRCODE"
	Aztec         Symbology = "AZTEC"
	MicroPDF417   Symbology = "UPDF417"
	GS1DataMatrix Symbology = "GS1DATAMATRIX"
	GS1QRCode     Symbology = "GS1QRCODE"
	Code49        Symbology = "Code49"
	Code16k       Symbology = "Code16k"
	CodablockF    Symbology = "CodablockF"
	HanXin        Symbology = "HANXIN"
	OtherType     Symbology = "OTHER"   // known, without a name in UnifiedPOS
	Unknown       Symbology = "UNKNOWN" // cannot be told
)

// isUPCEAN reports whether a symbology is of the EAN/UPC family, which holds
// nothing but trade item and coupon numbers.
func (s Symbology) isUPCEAN() bool {
	switch s {
	case UPCA, UPCAS, UPCE, UPCES, EAN8, EAN8S, EAN13, EAN13S:
		return true
	}
	return false
}

// isGS1 reports whether a symbology holds GS1 element strings.
func (s Symbology) isGS1() bool {
	switch s {
	case EAN128, GS1DataBar, GS1DataBarE, GS1DataBarT2, GS1DataMatrix, GS1QRCode:
		return true
	}
	return false
}

// withAddOn is the name of a symbology with an add-on beside it.
func (s Symbology) withAddOn() Symbology {
	switch s {
	case UPCA:
		return UPCAS
	case UPCE:
		return UPCES
	case EAN8:
		return EAN8S
	case EAN13:
		return EAN13S
	}
	return s
}

// aimSymbology tells the symbology by the code character and modifier of an AIM
// identifier (ISO/IEC 15424). The EAN/UPC family, code character E, is one
// identifier for several symbologies and left to its digits.
func aimSymbology(code, modifier byte) Symbology {
	switch code {
	case 'C':
		return pick(modifier, Code128, "1", EAN128, "4", ISBT128)
	case 'd':
		return pick(modifier, DataMatrix, "25", GS1DataMatrix, "", "")
	case 'Q':
		return pick(modifier, QRCode, "34", GS1QRCode, "", "")
	case 'J':
		return pick(modifier, OtherType, "1", gs1DotCode, "", "")
	case 'e':
		return pick(modifier, OtherType, "0", dataBar, "", "")
	}
	if i := strings.IndexByte(aimCodes, code); i >= 0 {
		return aimNames[i]
	}
	return Unknown
}

// pick gives first or second if modifier is among those named before it.
func pick(modifier byte, otherwise Symbology, a string, first Symbology, b string, second Symbology) Symbology {
	switch {
	case strings.IndexByte(a, modifier) >= 0:
		return first
	case strings.IndexByte(b, modifier) >= 0:
		return second
	}
	return otherwise
}

// The code characters whose modifiers change nothing here, and their
// symbologies in the same order.
const aimCodes = "ABFGHIKLMOPRSTUXEhz"

var aimNames = [len(aimCodes)]Symbology{
	Code39, Telepen, Codabar, Code93, Code11, ITF, Code16k, PDF417, MSI, CodablockF, Plessey, TF, TF,
	Code49, MaxiCode, OtherType, upcEAN, HanXin, Aztec,
}

// What identifiers say that is no symbology yet.
const (
	upcEAN     Symbology = "?UPC/EAN" // any of the family: by digits
	ean        Symbology = "?EAN"     // EAN-13, or EAN-8 if there are 8 digits
	dataBar    Symbology = "?DataBar" // omnidirectional or expanded: by content
	gs1DotCode Symbology = "?DotCode" // GS1 DotCode, OTHER in UnifiedPOS
)
