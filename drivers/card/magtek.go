package card

import (
	"time"

	"posd/drivers/driver"
	"posd/msr"
	"posd/tid"
)

// MagTek reads card readers whose reports are laid out as MagTek's: plain ones
// (SureSwipe), and those that can encrypt (MagneSafe V5).
func MagTek() driver.Driver {
	return driver.Driver{
		Name: "magtek-msr", Role: driver.MSR, Transports: []driver.Transport{driver.HIDRaw, driver.USBFS},
		Doc:  "MagTek card readers in HID mode (SureSwipe, MagneSafe V5, Dynamag), and others with their reports (usage page FF00)",
		Mode: "property 0x10 (interface type) is 0, HID, and not 1, keyboard emulation: MagTek's configuration tools set it. A MagneSafe reader sends clear tracks at security level 2 only",
		Beep: "the reader: its light shows a good read, and the host cannot change that",
		Claim: func(a driver.Attributes) bool {
			_, err := magTekOf(a)
			return err == nil && a.Vendor != idTech
		},
		Adopt: func(a driver.Attributes) bool {
			_, err := magTekOf(a)
			return err == nil && a.Vendor == magTek
		},
		Open: func(a driver.Attributes, _ driver.Settings, rules tid.Rules) (driver.Decoder, error) {
			l, err := magTekOf(a)
			if err != nil {
				return nil, unreadable(err)
			}
			return &magTekDecoder{l, msr.Reader{Rules: rules}}, nil
		},
	}
}

// magTekReport is where things are in MagTek's report.
type magTekReport struct {
	fields
	safe safeFields
}

func magTekOf(a driver.Attributes) (l magTekReport, err error) {
	d, err := descriptorOf(a)
	if err != nil {
		return l, err
	}
	if l.fields, err = fieldsOf(d); err == nil {
		l.safe = safeFieldsOf(&l.fields)
	}
	return l, err
}

// magTekDecoder decodes MagTek's reports: one a swipe, even if no track could be
// read.
type magTekDecoder struct {
	magTekReport
	reader msr.Reader
}

func (d *magTekDecoder) Deadline() time.Time           { return time.Time{} }
func (d *magTekDecoder) Expire(time.Time, driver.Emit) {}

func (d *magTekDecoder) Decode(r driver.Read, emit driver.Emit) {
	defer clear(r.Data)
	id, data := d.descriptor.Split(r.Data)
	if id != d.report {
		return
	}
	tracks, err := d.tracks(data)
	switch {
	case err != nil:
		emit(driver.Failure(r.At, codeReport, err.Error()))
	case d.safe.encrypts(data) && !empty(tracks):
		emit(d.sealed(r.At, data, tracks))
	case d.safe.exhausted(data) && empty(tracks):
		emit(driver.Failure(r.At, codeExhausted, exhausted))
	case !d.onlyInserted(data, tracks):
		emit(swiped(r.At, d.reader.ReadFields(tracks, magTekForm(number(d.encode, data)))))
	}
}

// magTekForm is what a card encode type says of a card. What ISO (0) and other
// cards (4) are is told by their tracks; a blank card (3) has none.
func magTekForm(encode int) string {
	switch encode {
	case 1:
		return msr.FormAAMVA
	case 2:
		return msr.FormCADL
	case 5: // undetermined
		return msr.FormOther
	case 7:
		return msr.FormJIS2
	}
	return ""
}
