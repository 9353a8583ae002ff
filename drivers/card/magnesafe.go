package card

import (
	"bytes"
	"time"

	"posd/drivers/driver"
	"posd/drivers/hid"
	"posd/msr"
)

// The usages of page FF00 that MagneSafe V5 readers have beside those of plain
// ones (MagneSafe V5 Communication Reference Manual 99875475, "HID usages").
const (
	usageMPLength   = hid.Usage(0xff00<<16 | 0x2b) // MagnePrint: the fingerprint of the stripe
	usageMP         = hid.Usage(0xff00<<16 | 0x33)
	usageSerial     = hid.Usage(0xff00<<16 | 0x40)
	usageEncryption = hid.Usage(0xff00<<16 | 0x42) // reader encryption status
	usageKSN        = hid.Usage(0xff00<<16 | 0x46) // DUKPT serial number and counter
	usageMaskedLen1 = hid.Usage(0xff00<<16 | 0x47)
	usageMasked1    = hid.Usage(0xff00<<16 | 0x4a)
	usageSession    = hid.Usage(0xff00<<16 | 0x50) // encrypted session id
	usageAbsolute1  = hid.Usage(0xff00<<16 | 0x51) // how many bytes of each track are no filling
)

// safeFields is where a MagneSafe V5 report has what plain ones do not have.
type safeFields struct {
	encryption, ksn, serial, session hid.Slot
	printLength, print               hid.Slot
	maskedLength, masked             [2]hid.Slot
	absolute                         [3]hid.Slot
}

func safeFieldsOf(f *fields) safeFields {
	s := safeFields{
		encryption: f.part(usageEncryption), ksn: f.part(usageKSN), serial: f.part(usageSerial), session: f.part(usageSession),
		printLength: f.part(usageMPLength), print: f.part(usageMP),
	}
	for i := range s.absolute {
		s.absolute[i] = f.part(usageAbsolute1 + hid.Usage(i))
	}
	for i := range s.masked {
		s.maskedLength[i], s.masked[i] = f.part(usageMaskedLen1+hid.Usage(i)), f.part(usageMasked1+hid.Usage(i))
	}
	return s
}

// The bits of the reader encryption status. Of MagneSafe V5 they are: keys
// exhausted, initial key injected, encryption enabled. Readers before it
// (99875338) have the first and the last the other way round.
const (
	keyInjected  = 2
	enabledOrOut = 1 | 4
	usedUp       = 1 | 2 | 4
)

// statusOf gives the reader encryption status, 0 if the report has none. It has
// two bytes, of which the one with the bits above comes last in reports and first
// in text: no bit is lost by joining them.
func (s *safeFields) statusOf(data []byte) (status uint32) {
	for i := range s.encryption.Count {
		v, _ := s.encryption.Value(data, i)
		status |= v | v>>8
	}
	return status
}

// encrypts reports whether the tracks of a report are encrypted: a key was
// injected, and encryption is enabled. A reader that has a key serial number or
// masked tracks and does not say is taken to encrypt.
func (s *safeFields) encrypts(data []byte) bool {
	if s.encryption.Count == 0 {
		return s.ksn.Count > 0 || s.masked[0].Count > 0
	}
	return encrypting(s.statusOf(data))
}

func encrypting(status uint32) bool { return status&keyInjected != 0 && status&enabledOrOut != 0 }

func (s *safeFields) exhausted(data []byte) bool {
	return s.encryption.Count > 0 && s.statusOf(data)&usedUp == usedUp
}

// sealed gives the reading of a report whose tracks are encrypted.
func (d *magTekDecoder) sealed(at time.Time, data []byte, tracks [4]msr.Field) driver.Reading {
	e := msr.Encrypted{Scheme: msr.MagneSafe, Cipher: msr.TDES, Serial: text(d.safe.serial.Bytes(data))}
	copy(e.KSN[:], d.safe.ksn.Bytes(data))
	state := states()
	for i := range state {
		e.Lengths[i] = number(d.safe.absolute[i], data)
		seal(&e, &state[i], tracks[i])
	}
	stripe, ok := valid(d.safe.print, d.safe.printLength, data)
	if !ok {
		e.Wipe()
		return driver.Failure(at, codeReport, "a report says that its MagnePrint is longer than its field")
	}
	e.MagnePrint, e.Session = msr.NewSecret(stripe), msr.NewSecret(d.safe.session.Bytes(data))
	var masked [2][]byte
	for i := range masked {
		masked[i], _ = valid(d.safe.masked[i], d.safe.maskedLength[i], data)
	}
	form := magTekForm(number(d.encode, data))
	if form == "" && number(d.encode, data) == 0 {
		form = msr.FormISO
	}
	return encrypted(at, d.reader, e, state, form, masked)
}

// seal takes over the ciphertext of a track: whole blocks, no fewer than the
// track needs.
func seal(e *msr.Encrypted, t *msr.Track, f msr.Field) {
	n := len(f.Data)
	switch {
	case f.Failed != "":
		t.Status, t.Code = msr.TrackError, f.Failed
	case n == 0:
	case n%e.Cipher.Block() != 0, n < e.Lengths[t.Number-1]:
		t.Status, t.Code = msr.TrackError, msr.CodeLength
	default:
		t.Status, t.Ciphertext = msr.TrackOK, n
		e.Tracks[t.Number-1] = msr.NewSecret(f.Data)
	}
}

// encrypted gives the reading of a card that a reader encrypted, as far as it
// could read it.
func encrypted(at time.Time, r msr.Reader, e msr.Encrypted, state []msr.Track, form string, masked [2][]byte) driver.Reading {
	var failed [4]msr.Field
	some := false
	for i, t := range state {
		failed[i].Failed = t.Code
		some = some || t.Status == msr.TrackOK
	}
	switch {
	case !some:
		e.Wipe()
		return swiped(at, r.ReadFields(failed, form))
	case e.KSN.IsZero():
		e.Wipe()
		return driver.Failure(at, codeNoKeys, noKeys)
	case form == "":
		form = msr.FormOther
	}
	return swiped(at, r.ReadEncrypted(e, state, form, masked))
}

// valid gives the part of a field that its length says is used.
func valid(field, length hid.Slot, data []byte) ([]byte, bool) {
	b := field.Bytes(data)
	n := number(length, data)
	if n > len(b) {
		return nil, false
	}
	return b[:n], true
}

// text gives the printable characters of a field up to its end or a NUL.
func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	if bytes.ContainsFunc(b, func(c rune) bool { return c < ' ' || c > '~' }) {
		return ""
	}
	return string(b)
}
