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

// withoutAddOn is the name of a symbology without the add-on beside it.
func (s Symbology) withoutAddOn() Symbology {
	switch s {
	case UPCAS:
		return UPCA
	case UPCES:
		return UPCE
	case EAN8S:
		return EAN8
	case EAN13S:
		return EAN13
	}
	return s
}

// Linear reports whether a symbology is one of bars, not of squares or rows.
func (s Symbology) Linear() bool {
	switch s {
	case PDF417, MaxiCode, DataMatrix, QRCode, MicroQRCode, Aztec, MicroPDF417, GS1DataMatrix, GS1QRCode, HanXin, OtherType, Unknown:
		return false
	}
	return true
}

// aim is what the code character of an AIM identifier says (ISO/IEC 15424),
// with the modifiers by which it is something else.
type aim struct {
	code      byte
	symbology Symbology
	gs1       string // FNC1 in the first position, DataMatrix' fifth included: GS1 elements
	gs1Name   Symbology
	eci       string // the reader follows the ECI protocol
}

// aims are the code characters. FNC1 in the second position (]C2, ]d3, ]Q5 ...)
// is an industry's own format, not GS1's, and plain text here; so are e1 to e3,
// which are what follows a separator in a composite component.
var aims = [...]aim{
	{'A', Code39, "", "", ""},
	{'B', Telepen, "", "", ""},
	{'C', Code128, "1", EAN128, ""},
	{'E', upcEAN, "", "", ""}, // one identifier for several symbologies: by digits
	{'F', Codabar, "", "", ""},
	{'G', Code93, "", "", ""},
	{'H', Code11, "", "", ""},
	{'I', ITF, "", "", ""},
	{'J', OtherType, "14", OtherType, "345"}, // DotCode
	{'K', Code16k, "1", Code16k, ""},
	{'L', PDF417, "3", MicroPDF417, "1"},
	{'M', MSI, "", "", ""},
	{'O', CodablockF, "15", CodablockF, ""},
	{'P', Plessey, "", "", ""},
	{'Q', QRCode, "34", GS1QRCode, "246"},
	{'R', TF, "", "", ""},
	{'S', TF, "", "", ""},
	{'T', Code49, "1", Code49, ""},
	{'U', MaxiCode, "", "", "23"},
	{'X', OtherType, "", "", ""},
	{'d', DataMatrix, "25", GS1DataMatrix, "456"},
	{'e', OtherType, "0", dataBar, "3"},
	{'h', HanXin, "", "", "1"},
	{'z', Aztec, "147A", Aztec, "3459AB"},
}

// aimIdentified tells the symbology by the code character and modifier of an
// AIM identifier.
func aimIdentified(code, modifier byte) identified {
	id := identified{symbology: Unknown, aim: modifier}
	for i := range aims {
		a := &aims[i]
		if a.code != code {
			continue
		}
		id.symbology, id.eci = a.symbology, strings.IndexByte(a.eci, modifier) >= 0
		if strings.IndexByte(a.gs1, modifier) >= 0 {
			id.symbology, id.elements = a.gs1Name, true
		}
	}
	switch {
	case code == 'C' && modifier == '4':
		id.symbology = ISBT128
	case code == 'L' && (modifier == '4' || modifier == '5'):
		id.symbology = MicroPDF417
	}
	return id
}

// What identifiers say that is no symbology yet.
const (
	upcEAN  Symbology = "?UPC/EAN" // any of the family: by digits
	ean     Symbology = "?EAN"     // EAN-13, or EAN-8 if there are 8 digits
	dataBar Symbology = "?DataBar" // omnidirectional or expanded: by content
)
