package barcode

import (
	"time"

	"posd/drivers/driver"
	"posd/scanner"
)

// ibmID is an identifier: of one byte, or the second of three.
type ibmID struct {
	id        byte
	symbology scanner.Symbology
}

// The identifiers of one byte (labelIds.csv of Datalogic's androidPOS-config).
var ibmShort = [...]ibmID{{0x0d, scanner.UPCA}, {0x0a, scanner.UPCE}, {0x0c, scanner.EAN8}, {0x16, scanner.EAN13}}

// The identifiers of three bytes, the last of which is 0B. A composite goes by
// its linear part. Limited DataBar has none of its own.
var ibmLong = [...]ibmID{
	{0x16, scanner.UPCAS}, {0x11, scanner.UPCAS}, {0x12, scanner.UPCES}, {0x14, scanner.UPCES},
	{0x17, scanner.EAN8S}, {0x1d, scanner.EAN8S}, {0x13, scanner.EAN13S}, {0x15, scanner.EAN13S},
	{0x20, scanner.UPCA}, {0x21, scanner.UPCE}, {0x22, scanner.EAN8}, {0x23, scanner.EAN13},
	{0x0a, scanner.Code39}, {0x0c, scanner.TF}, {0x0d, scanner.ITF}, {0x0e, scanner.Codabar}, {0x18, scanner.Code128}, {0x19, scanner.Code93},
	{0x25, scanner.EAN128}, {0x2a, scanner.GS1DataBar}, {0x2b, scanner.GS1DataBarE},
	{0x2e, scanner.PDF417}, {0x2f, scanner.MaxiCode}, {0x30, scanner.OCRA}, {0x31, scanner.OCRB},
	{0x32, scanner.DataMatrix}, {0x33, scanner.QRCode}, {0x34, scanner.Aztec}, {0x35, scanner.Code49},
	{0x36, scanner.GS1DataMatrix}, {0x37, scanner.GS1QRCode}, {0x38, scanner.MicroPDF417},
}

func ibmFind(table []ibmID, id byte) (scanner.Symbology, bool) {
	for _, known := range table {
		if known.id == id {
			return known.symbology, true
		}
	}
	return scanner.Unknown, false
}

// ibmPart is what one report has of a label.
type ibmPart struct {
	text      []byte
	symbology scanner.Symbology
	more      bool // the next report goes on
}

// ibmSplit parts text from identifier. Some Gryphons of Datalogic send four bytes
// that end with 00 and name nothing. It is not ok if the identifier is none.
func ibmSplit(body []byte) (p ibmPart, ok bool) {
	n := len(body)
	switch id := body[n-1]; {
	case id == 0x0b && n >= 3:
		p = ibmPart{text: body[:n-3], more: body[n-3] == 0x10}
		p.symbology, _ = ibmFind(ibmLong[:], body[n-2])
		return p, true
	case id == 0x00 && n >= 4:
		return ibmPart{body[:n-4], scanner.Unknown, body[n-4]&0x10 != 0}, true
	default:
		p.text = body[:n-1]
		p.symbology, ok = ibmFind(ibmShort[:], id)
		return p, ok
	}
}

// part takes what a report has behind its head.
func (d *ibmDecoder) part(body []byte, at time.Time, emit driver.Emit) {
	p, ok := d.last(body)
	if !ok {
		p, ok = ibmSplit(body)
	}
	if !ok {
		d.parts.spoil()
		emit(driver.Failure(at, scanner.CodeUnknownSymbology, "the label does not end with an identifier of IBM's that is known"))
		return
	}
	if d.parts.more && !together(d.begun, p.symbology) { // its rest was lost, and this is another label
		d.parts.expire(emit)
	}
	if !d.parts.more {
		d.begun = p.symbology
	}
	if text, ok := d.parts.add(p.text, p.more, at, emit); ok {
		ibmWhole(text, p.symbology, at, emit)
	}
}

// last gives the last part of a label whose identifier did not fit into the part
// before, and began there. Honeywell's scanners cut a label with its identifier
// into parts of 57 bytes.
func (d *ibmDecoder) last(body []byte) (p ibmPart, ok bool) {
	var id [3]byte
	n := len(d.parts.text) - (len(id) - len(body))
	if !d.parts.more || len(body) >= len(id) || n < 0 {
		return p, false
	}
	copy(id[copy(id[:], d.parts.text[n:]):], body)
	if id[0] != 0 || id[2] != 0x0b {
		return p, false
	}
	d.parts.text = d.parts.text[:n]
	p.symbology, _ = ibmFind(ibmLong[:], id[1])
	return p, true
}

// together reports whether parts with these symbologies may be of one label: they
// have one identifier, or one that names nothing.
func together(a, b scanner.Symbology) bool {
	return a == b || a == scanner.Unknown || b == scanner.Unknown
}

// ibmWhole gives the reading of a label, which goes by its last identifier. Where
// that names nothing, digits are not taken for a number of GS1 either.
func ibmWhole(text []byte, s scanner.Symbology, at time.Time, emit driver.Emit) {
	if retail(s) {
		digits(text)
	}
	opt := scanner.Options{Known: s}
	if s == scanner.Unknown {
		opt.Known = scanner.OtherType
	}
	switch {
	case len(text) == 0:
		emit(driver.Failure(at, scanner.CodeEmpty, "the report holds no data"))
	case !isCard(text, at, emit):
		scan := scanner.Decode(text, opt)
		if s == scanner.Unknown {
			scan.Symbology = s
		}
		emit(driver.Reading{Type: driver.Scan, At: at, Scan: scan})
	}
}

func retail(s scanner.Symbology) bool {
	switch s {
	case scanner.UPCA, scanner.UPCE, scanner.EAN8, scanner.EAN13, scanner.UPCAS, scanner.UPCES, scanner.EAN8S, scanner.EAN13S:
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
