package barcode

import (
	"time"

	"posd/drivers/driver"
	"posd/scanner"
)

// ibmKind is what an identifier says of a label.
type ibmKind struct {
	id        byte // the identifier of one byte, or the second of three
	symbology scanner.Symbology
	addOn     int    // digits of the add-on
	as        string // the identifier under which package scanner knows it
}

// The identifiers of one byte (labelIds.csv of Datalogic's androidPOS-config).
var ibmShort = [...]ibmKind{
	{0x0d, scanner.UPCA, 0, "A"}, {0x0a, scanner.UPCE, 0, "E"}, {0x0c, scanner.EAN8, 0, "FF"}, {0x16, scanner.EAN13, 0, "F"},
}

// The identifiers of three bytes, the last of which is 0B. A composite goes by
// its linear part. Limited DataBar has none of its own.
var ibmLong = [...]ibmKind{
	{0x16, scanner.UPCA, 2, "A"}, {0x11, scanner.UPCA, 5, "A"}, {0x12, scanner.UPCE, 2, "E"}, {0x14, scanner.UPCE, 5, "E"},
	{0x17, scanner.EAN8, 2, "FF"}, {0x1d, scanner.EAN8, 5, "FF"}, {0x13, scanner.EAN13, 2, "F"}, {0x15, scanner.EAN13, 5, "F"},
	{0x20, scanner.UPCA, 0, "A"}, {0x21, scanner.UPCE, 0, "E"}, {0x22, scanner.EAN8, 0, "FF"}, {0x23, scanner.EAN13, 0, "F"},
	{0x0a, scanner.Code39, 0, "B1"}, {0x0c, scanner.TF, 0, "s"}, {0x0d, scanner.ITF, 0, "i"}, {0x0e, scanner.Codabar, 0, "%"},
	{0x18, scanner.Code128, 0, "B3"}, {0x19, scanner.Code93, 0, "&"}, {0x25, scanner.EAN128, 0, "]C1"},
	{0x2a, scanner.GS1DataBar, 0, "R4"}, {0x2b, scanner.GS1DataBarE, 0, "RX"},
	{0x2e, scanner.PDF417, 0, "P"}, {0x2f, scanner.MaxiCode, 0, "MC"}, {0x30, scanner.OCRA, 0, ""}, {0x31, scanner.OCRB, 0, ""},
	{0x32, scanner.DataMatrix, 0, "Dm"}, {0x33, scanner.QRCode, 0, "QR"}, {0x34, scanner.Aztec, 0, "Az"}, {0x35, scanner.Code49, 0, "]T0"},
	{0x36, scanner.GS1DataMatrix, 0, "Dg"}, {0x37, scanner.GS1QRCode, 0, "Qg"}, {0x38, scanner.MicroPDF417, 0, "mP"},
}

func ibmFind(table []ibmKind, id byte) (ibmKind, bool) {
	for _, k := range table {
		if k.id == id {
			return k, true
		}
	}
	return ibmKind{symbology: scanner.Unknown}, false
}

// ibmPart is what one report has of a label.
type ibmPart struct {
	text []byte
	kind ibmKind
	more bool // the next report goes on
}

// ibmSplit parts text from identifier. Some Gryphons of Datalogic send four bytes
// that end with 00 and name nothing. It is not ok if the identifier is none.
func ibmSplit(body []byte) (p ibmPart, ok bool) {
	n := len(body)
	switch id := body[n-1]; {
	case id == 0x0b && n >= 3:
		p = ibmPart{text: body[:n-3], more: body[n-3] == 0x10}
		p.kind, _ = ibmFind(ibmLong[:], body[n-2])
		return p, true
	case id == 0x00 && n >= 4:
		p = ibmPart{text: body[:n-4], more: body[n-4]&0x10 != 0}
		p.kind.symbology = scanner.Unknown
		return p, true
	default:
		p.text = body[:n-1]
		p.kind, ok = ibmFind(ibmShort[:], id)
		return p, ok
	}
}

// ibmSpare is room before a label for the identifier under which package scanner
// knows it.
const ibmSpare = 3

// part takes what a report has behind its head.
func (d *ibmDecoder) part(body []byte, at time.Time, emit driver.Emit) {
	p, ok := ibmSplit(body)
	if !ok {
		d.parts.spoil()
		emit(driver.Failure(at, scanner.CodeUnknownSymbology, "the label does not end with an identifier of IBM's that is known"))
		return
	}
	if !d.parts.more {
		d.parts.add(make([]byte, ibmSpare), true, at, emit)
	}
	if b, ok := d.parts.add(p.text, p.more, at, emit); ok {
		p.kind.whole(b, at, emit)
	}
}

// whole gives the reading of a label, behind ibmSpare bytes.
func (k ibmKind) whole(b []byte, at time.Time, emit driver.Emit) {
	text := b[ibmSpare:]
	if k.retail() {
		digits(text)
	}
	switch {
	case len(text) == 0:
		emit(driver.Failure(at, scanner.CodeEmpty, "the report holds no data"))
	case !isCard(text, at, emit):
		emit(driver.Reading{Type: driver.Scan, At: at, Scan: k.scan(b)})
	}
}

// scan decodes a label, behind ibmSpare bytes.
func (k ibmKind) scan(b []byte) scanner.Scan {
	id := k.as
	if id == "" {
		id = "]X0" // of no symbology
	}
	frame := b[ibmSpare-len(id):]
	copy(frame, id)
	s := scanner.Decode(frame, k.options(len(b)-ibmSpare-k.addOn))
	s.Data = s.Data[len(id):]
	if k.as == "" {
		s.Symbology = k.symbology
	}
	return s
}

func (k ibmKind) retail() bool {
	switch k.symbology {
	case scanner.UPCA, scanner.UPCE, scanner.EAN8, scanner.EAN13:
		return true
	}
	return false
}

// digits makes characters of the digits that tabletop scanners, and some
// hand-held ones, send as numbers.
func digits(text []byte) {
	for i, c := range text {
		if c <= 9 {
			text[i] = '0' + c
		}
	}
}

// options tells what n digits lack: scanners may be set to leave out the check
// digit, and of UPC-E the number system as well.
func (k ibmKind) options(n int) scanner.Options {
	o := scanner.Options{IDs: scanner.IDsDatalogic}
	switch k.symbology {
	case scanner.UPCA:
		o.CheckDigitAbsent = n == 11
	case scanner.EAN13:
		o.CheckDigitAbsent = n == 12
	case scanner.EAN8:
		o.CheckDigitAbsent = n == 7
	case scanner.UPCE:
		o.CheckDigitAbsent, o.NumberSystemAbsent = n == 6 || n == 7, n == 6
	}
	return o
}
