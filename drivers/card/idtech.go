package card

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"posd/drivers/driver"
	"posd/drivers/hid"
	"posd/msr"
	"posd/tid"
)

// IDTECH reads ID TECH's card readers: those that send tracks in clear, and
// those that encrypt.
func IDTECH() driver.Driver {
	return driver.Driver{
		Name: "idtech-msr", Role: driver.MSR, Transports: []driver.Transport{driver.HIDRaw, driver.TTY},
		Doc:      "ID TECH card readers (MiniMag, SecureMag, SREDKey, SecureKey) in HID mode (usage page FF00), and SecureMag on a serial port",
		Mode:     "HID, not keyboard emulation (product 2010, not 2030); setting 0x23 (USB HID format) is 0 or 1. An encrypting reader sends clear tracks at security level 1 only; setting 0x85 is 0 for the original format and 1 for the enhanced one",
		Beep:     "the reader, as its setting 0x11 (beep volume) says; the host cannot give it",
		Settings: []driver.Setting{cipherSetting()},
		Claim: func(a driver.Attributes) bool {
			l, err := idTechOf(a)
			return a.Transport == driver.TTY || err == nil && (a.Vendor == idTech || l.output.Count > 0)
		},
		Adopt: func(a driver.Attributes) bool {
			_, err := idTechOf(a)
			return err == nil && a.Vendor == idTech
		},
		Fits: fitsIDTECH,
		Open: openIDTECH,
	}
}

// fitsIDTECH reports whether reads are reports, or begin as what encrypting
// readers send on a line: with a control character, and no text behind it.
func fitsIDTECH(reads []driver.Read) bool {
	head := beginning(reads, 3)
	defer clear(head)
	return len(head) > 0 && head[0] < ' ' && (len(head) < 3 || head[2] < ' ')
}

func cipherSetting() driver.Setting {
	return driver.Setting{Key: "cipher", Values: "tdes, aes", Default: "tdes", Doc: "what an ID TECH reader encrypts with that sends the original format, which does not tell"}
}

// secureOf gives what makes readings of an ID TECH reader's card data.
func secureOf(s driver.Settings, rules tid.Rules) (secureMag, error) {
	m := secureMag{reader: msr.Reader{Rules: rules}, cipher: msr.TDES}
	switch v := s.Get("cipher"); strings.ToLower(v) {
	case "", "tdes":
	case "aes":
		m.cipher = msr.AES
	default:
		return m, driver.Bad("cipher", fmt.Errorf("%q is neither tdes nor aes", v))
	}
	return m, nil
}

func openIDTECH(a driver.Attributes, s driver.Settings, rules tid.Rules) (driver.Decoder, error) {
	secure, err := secureOf(s, rules)
	if err != nil {
		return nil, err
	}
	if a.Transport == driver.TTY {
		return &secureLine{secure: secure, text: textReader{secure: secure}}, nil
	}
	l, err := idTechOf(a)
	if err != nil {
		return nil, unreadable(err)
	}
	return &idTechDecoder{l, secure}, nil
}

// The usages of ID TECH's own format, which has the tracks in one text
// (80066510-003, "ID TECH format data structure"). They mean something else in
// MagTek's.
const (
	usageTotal  = usageData1     // how long the text is
	usageOutput = usageData1 + 1 // 500 bytes, perhaps more
	leastOutput = 256
)

// idTechReport is where things are in a report: a field a track, or one text.
type idTechReport struct {
	fields
	total, output hid.Slot // Count 0: there is a field for each track
}

func idTechOf(a driver.Attributes) (l idTechReport, err error) {
	d, err := descriptorOf(a)
	if err != nil {
		return l, err
	}
	output, ok := d.Input(0, usageOutput)
	if !ok || output.Count < leastOutput {
		l.fields, err = fieldsOf(d)
		return l, err
	}
	l.fields = fields{descriptor: d, report: output.Report}
	l.total, l.output, l.encode = l.part(usageTotal), output, l.part(usageEncode)
	for i := range l.status {
		l.status[i] = l.part(usageStatus1 + hid.Usage(i))
	}
	if l.total.Count == 0 || output.Size != 8 || output.Offset%8 != 0 {
		err = errors.New("its report descriptor does not have output data and their length (usages FF00:31 and 30) in one report")
	}
	return l, err
}

// idTechDecoder decodes ID TECH's reports: one a swipe.
type idTechDecoder struct {
	idTechReport
	secure secureMag
}

func (d *idTechDecoder) Deadline() time.Time           { return time.Time{} }
func (d *idTechDecoder) Expire(time.Time, driver.Emit) {}

// Decode takes a report. One that begins with STX is what an encrypting reader
// sends in place of the fields, with zeros behind it; the status of track 1,
// which is there in clear ones, is 0 or 1.
func (d *idTechDecoder) Decode(r driver.Read, emit driver.Emit) {
	defer clear(r.Data)
	id, data := d.descriptor.Split(r.Data)
	switch {
	case id != d.report:
	case len(data) > 0 && data[0] == secureSTX:
		emit(d.secure.frame(r.At, data))
	case number(d.encode, data) == 4:
		emit(driver.Failure(r.At, codeRaw, rawBits))
	case d.output.Count > 0:
		emit(d.stream(r.At, data))
	default:
		emit(d.each(r.At, data))
	}
}

// frame gives the reading of a frame of an encrypting reader.
func (m secureMag) frame(at time.Time, b []byte) driver.Reading {
	card, err := unframe(b)
	if err != nil {
		return driver.Failure(at, err.Code, err.Reason)
	}
	return m.read(at, card)
}

// idTechForm is what a card encode type says of a card, where 3 is any other.
func idTechForm(encode int) string {
	if encode == 1 {
		return msr.FormAAMVA
	}
	return ""
}

func (d *idTechDecoder) each(at time.Time, data []byte) driver.Reading {
	tracks, err := d.tracks(data)
	if err != nil {
		return driver.Failure(at, codeReport, err.Error())
	}
	return swiped(at, d.secure.reader.ReadFields(tracks, idTechForm(number(d.encode, data))))
}

// stream reads a text with the tracks, and what the reader is set to put around
// them.
func (d *idTechDecoder) stream(at time.Time, data []byte) driver.Reading {
	out := d.output.Bytes(data)
	n := 0
	for i := range d.total.Count { // the lower byte first
		v, ok := d.total.Value(data, i)
		if !ok || out == nil {
			return driver.Failure(at, codeReport, tooShort(data).Error())
		}
		n |= int(v) << (8 * i)
	}
	if n > len(out) {
		return driver.Failure(at, codeReport, "a report says that its tracks are longer than it has room for")
	}
	var failed [3]bool
	for i := range failed {
		failed[i] = number(d.status[i], data)&1 != 0
	}
	return swiped(at, d.secure.reader.ReadStream(out[:n], failed, idTechForm(number(d.encode, data))))
}
