package scanner

import (
	"bytes"
	"fmt"
)

// IDs is a preset of the identifiers that a scanner puts before its labels to
// tell the symbology. An AIM identifier is understood under every preset, also
// behind a vendor's identifier.
type IDs string

// The presets.
const (
	IDsNone      IDs = "none"      // no identifier but AIM's, if there is one; also the empty preset
	IDsAIM       IDs = "aim"       // ISO/IEC 15424: a label without one is a problem
	IDsNCR       IDs = "ncr"       // 78xx: the default prefixes, and the unique ones of the 7870
	IDsDatalogic IDs = "datalogic" // Magellan single cable (SCRS232), which is also the hand-helds' set for the USA
	IDsHoneywell IDs = "honeywell" // code identifiers
	IDsZebra     IDs = "zebra"     // Symbol code identifiers
)

// ParseIDs reads the name of a preset, as configurations give it. An empty name
// is "none".
func ParseIDs(name string) (IDs, error) {
	switch ids := IDs(name); ids {
	case "":
		return IDsNone, nil
	case IDsNone, IDsAIM, IDsNCR, IDsDatalogic, IDsHoneywell, IDsZebra:
		return ids, nil
	}
	return "", fmt.Errorf("label identifiers: %q is no preset: use none, aim, ncr, datalogic, honeywell or zebra", name)
}

// labelID is one identifier of a vendor.
type labelID struct {
	id        string
	symbology Symbology
}

// table gives the identifiers of a preset.
func (ids IDs) table() []labelID {
	switch ids {
	case IDsNCR:
		return ncrIDs[:]
	case IDsDatalogic:
		return datalogicIDs[:]
	case IDsHoneywell:
		return honeywellIDs[:]
	case IDsZebra:
		return zebraIDs[:]
	}
	return nil
}

// NCR 7870, 7874, 7893, 7895. The default prefixes call EAN-8 "FF" and EAN-13
// "F", the unique ones EAN-8 "F" and EAN-13 "G".
var ncrIDs = [...]labelID{
	{"A", UPCA}, {"E", UPCE}, {"FF", EAN8}, {"F", ean}, {"G", EAN13},
	{"B1", Code39}, {"B2", ITF}, {"B3", Code128}, {"1", Code39}, {"2", ITF}, {"3", Code128}, {"N", Codabar},
}

// ncrAddress is what the scanner/scale format of NCR puts before the identifier:
// address 0, function 8. No identifier begins like it.
const ncrAddress = "08"

// Datalogic Magellan, SCRS232.
var datalogicIDs = [...]labelID{
	{"A", UPCA}, {"E", UPCE}, {"F", EAN13}, {"FF", EAN8}, {"I", EAN13},
	{"B1", Code39}, {"*", Code39}, {"B2", ITF}, {"i", ITF}, {"B3", Code128}, {"#", Code128},
	{"%", Codabar}, {"&", Code93}, {"s", TF}, {"@", MSI}, {"CE", Code11},
	{"R4", dataBar}, {"RX", GS1DataBarE}, {"RL", GS1DataBarT2},
	{"P", PDF417}, {"mP", MicroPDF417}, {"QR", QRCode}, {"Qg", GS1QRCode},
	{"Dm", DataMatrix}, {"Dg", GS1DataMatrix}, {"Az", Aztec}, {"MC", MaxiCode},
}

// Honeywell (Hand Held Products) code identifiers.
var honeywellIDs = [...]labelID{
	{"c", UPCA}, {"E", UPCE}, {"D", EAN8}, {"d", EAN13},
	{"b", Code39}, {"<", Code32}, {"=", TriOptic39}, {"i", Code93}, {"e", ITF}, {"f", TF}, {"m", TFMAT},
	{"a", Codabar}, {"h", Code11}, {"g", MSI}, {"n", Plessey}, {"t", Telepen},
	{"j", Code128}, {"I", EAN128}, {"y", dataBar}, {"{", GS1DataBarT2}, {"}", GS1DataBarE},
	{"r", PDF417}, {"R", MicroPDF417}, {"s", QRCode}, {"w", DataMatrix}, {"z", Aztec}, {"x", MaxiCode},
	{"H", HanXin}, {"l", Code49}, {"q", CodablockF},
}

// Zebra (Symbol) code identifiers. A is all of EAN/UPC, L Bookland EAN, N the
// UPC-A of a coupon.
var zebraIDs = [...]labelID{
	{"A", upcEAN}, {"L", EAN13}, {"N", UPCA},
	{"B", Code39}, {"M", TriOptic39}, {"C", Codabar}, {"D", Code128}, {"K", EAN128}, {"E", Code93},
	{"F", ITF}, {"G", TF}, {"H", Code11}, {"J", MSI}, {"R", dataBar}, {"S", TFMAT}, {"U", OtherType},
	{"T", OtherType}, {"X", PDF417}, {"z", Aztec},
	{"P00", DataMatrix}, {"P01", QRCode}, {"P02", MaxiCode}, {"P0G", GS1DataMatrix}, {"P0H", HanXin}, {"P0Q", GS1QRCode},
}

// identified is what stood before a label.
type identified struct {
	symbology Symbology // Unknown if nothing told it; may be one of the ?-names
	elements  bool      // the label is a GS1 element string
	eci       bool      // the label holds extended channel interpretations
	aim       byte      // the modifier of the AIM identifier; 0 if there is none
	length    int       // of all identifiers
}

// identify reads the identifier of a label. The longest that fits counts.
func identify(frame []byte, ids IDs) identified {
	found := identified{symbology: Unknown}
	address := 0
	if ids == IDsNCR && bytes.HasPrefix(frame, []byte(ncrAddress)) {
		address = len(ncrAddress)
	}
	for _, l := range ids.table() {
		if n := address + len(l.id); n > found.length && bytes.HasPrefix(frame[address:], []byte(l.id)) {
			found.symbology, found.length = l.symbology, n
		}
	}
	found.elements = found.symbology.isGS1() || found.symbology == dataBar
	if found.length == 0 && isAIM(frame[address:]) {
		found.length = address
	}
	if rest := frame[found.length:]; isAIM(rest) {
		aim := aimIdentified(rest[1], rest[2])
		// ]E0 leaves open whether a UPC-E was expanded: the vendor's tells.
		if aim.symbology == upcEAN && rest[2] == '0' && found.symbology == UPCE {
			aim.symbology = UPCE
		}
		aim.length = found.length + 3
		return aim
	}
	return found
}

// isAIM reports whether a label begins with an AIM identifier: ], a letter and
// a digit or letter.
func isAIM(s []byte) bool {
	return len(s) >= 3 && s[0] == ']' && isLetter(s[1]) && (isLetter(s[2]) || '0' <= s[2] && s[2] <= '9')
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
