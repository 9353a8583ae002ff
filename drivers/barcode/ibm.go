package barcode

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"posd/drivers/driver"
	"posd/drivers/hid"
	"posd/scanner"
	"posd/tid"
)

// IBM reads scanners with the USB interface of IBM's SurePOS.
func IBM() driver.Driver {
	return driver.Driver{
		Name: "ibm-scanner", Role: driver.Scanner, Transports: []driver.Transport{driver.HIDRaw, driver.USBFS},
		Doc: "bar code scanners with the USB interface of IBM SurePOS (usage page FF45), hand-held and tabletop, which Datalogic calls USB-OEM",
		Mode: "scan the programming code of the USB interface that the scanner's manual calls IBM or OEM: Honeywell \"USB SurePOS Handheld\" (TERMID128) or \"Tabletop\" (TERMID129), " +
			"Zebra \"IBM Hand-held USB\" or \"IBM Table-top USB\", Datalogic \"USB-OEM\". The scanner is silent until posd has enabled it",
		Beep: "the scanner, as it is set; beep = \"scanner\" and \"off\" switch its good-read beep on and off, and with beep = \"host\" scanners of Datalogic beep when the host has kept the label (direct I/O)",
		Settings: []driver.Setting{
			{Key: "beep", Values: "scanner, off, host", Doc: "who gives the signal of a good read; if it is not set, the scanner's own setting stands"},
		},
		Claim:   claimsIBM,
		Adopt:   func(a driver.Attributes) bool { return len(a.Descriptor) > 0 && claimsIBM(a) },
		Open:    openIBM,
		Signals: ibmSignals,
	}
}

const (
	usageTabletop = hid.Usage(0xff45<<16 | 0x4a00)
	usageHandheld = hid.Usage(0xff45<<16 | 0x4b00)
)

// The commands, which are filled up to eleven bytes with zeros (androidPOS-core of
// Datalogic, DLSUSBScanner).
const (
	ibmEnable  = "\x11"
	ibmBeepOn  = "\x14"
	ibmBeepOff = "\x18"
	ibmStatus  = "\x00\x20"
	ibmGood    = "\x30\x00\x04" // direct I/O of Datalogic: good-read beep
	ibmBad     = "\x30\x00\x05" // and error beep
	ibmCommand = 11
)

// ibmHead is the length of a report's head: its length and three status bytes.
const ibmHead = 4

const vendorDatalogic = 0x05f9

// ibmReports is where reports are.
type ibmReports struct {
	numbered bool
	in, out  uint8
	offset   int // of the report's length byte
	outBytes int // of a command's report, behind its id
}

// ibmLayout finds the reports in a descriptor. Without one, they have no ids.
func ibmLayout(a driver.Attributes) (ibmReports, error) {
	l := ibmReports{outBytes: ibmCommand}
	if len(a.Descriptor) == 0 {
		if a.Transport == driver.USBFS {
			return l, nil
		}
		return l, errors.New("it has no HID report descriptor")
	}
	d, err := hid.Parse(a.Descriptor)
	if err != nil {
		return l, err
	}
	l.numbered = d.Numbered
	found := false
	for _, f := range d.Fields {
		if f.Size != 8 || f.Offset%8 != 0 || f.Constant || f.Count < ibmHead || len(f.Collections) == 0 || f.Collections[0] != usageHandheld && f.Collections[0] != usageTabletop {
			continue
		}
		switch {
		case f.Kind == hid.Input && !found:
			found, l.in, l.offset = true, f.Report, f.Offset/8
		case f.Kind == hid.Output && f.Count >= ibmCommand && l.outBytes == ibmCommand:
			l.out, l.outBytes = f.Report, d.Length(hid.Output, f.Report)
		}
	}
	if !found {
		return l, errors.New("its report descriptor has no reports of an IBM scanner (usages FF45:4A00 and 4B00): is it in IBM or OEM mode?")
	}
	return l, nil
}

func claimsIBM(a driver.Attributes) bool {
	_, err := ibmLayout(a)
	return err == nil
}

// command gives the output report of a command.
func (l ibmReports) command(c string) driver.Command {
	report := make([]byte, 1+l.outBytes)
	report[0] = l.out
	copy(report[1:], c)
	return driver.Command{Data: report}
}

// ibmBeeps gives the command for the scanner's own beep, none if that stays as it
// is.
func ibmBeeps(s driver.Settings) (string, error) {
	switch s.Get("beep") {
	case "":
		return "", nil
	case "scanner":
		return ibmBeepOn, nil
	case "off", "host":
		return ibmBeepOff, nil
	}
	return "", driver.Bad("beep", errors.New("it is none of scanner, off, host"))
}

// ibmSignals gives the commands that sound the beeper. Without a transport, the
// settings alone are checked.
func ibmSignals(a driver.Attributes, s driver.Settings) (kept, refused []driver.Command, err error) {
	if _, err := ibmBeeps(s); err != nil || s.Get("beep") != "host" || a.Transport == "" {
		return nil, nil, err
	}
	if a.Vendor != vendorDatalogic {
		return nil, nil, driver.Bad("beep", errors.New("the host can give the signal on scanners of Datalogic (USB 05f9) only"))
	}
	l, err := ibmLayout(a)
	if err != nil {
		return nil, nil, err
	}
	return []driver.Command{l.command(ibmGood)}, []driver.Command{l.command(ibmBad)}, nil
}

func openIBM(a driver.Attributes, s driver.Settings, _ tid.Rules) (driver.Decoder, error) {
	l, err := ibmLayout(a)
	if err != nil {
		return nil, fmt.Errorf("read HID device: %w", err)
	}
	beep, err := ibmBeeps(s)
	if err != nil {
		return nil, err
	}
	d := &ibmDecoder{ibmReports: l, next: driver.Start(), parts: newParts()}
	if beep != "" {
		d.tell(beep)
	}
	d.tell(ibmEnable)
	d.tell(ibmStatus)
	return d, nil
}

const (
	ibmPoll     = 10 * time.Second // after this silence the scanner is asked how it is
	ibmPatience = time.Second      // until an enabled scanner must say so
)

// ibmDecoder decodes reports of IBM scanners. It is given its commands when it
// begins, asks for the status after a silence, and enables the scanner again when
// that says that it is not.
type ibmDecoder struct {
	ibmReports
	say     []string  // commands
	next    time.Time // when the scanner is asked how it is
	enabled time.Time // when it was told to be enabled
	tries   int       // how often, since it last was
	faults  uint32    // bits of the status in the last report
	parts   parts
	begun   scanner.Symbology // what the first part of the label says
}

// Commands gives what is to be said now.
func (d *ibmDecoder) Commands() (all []driver.Command) {
	if d.next.Equal(driver.Start()) {
		return nil
	}
	for _, c := range d.say {
		all = append(all, d.command(c))
	}
	d.say = d.say[:0]
	return all
}

func (d *ibmDecoder) Deadline() time.Time {
	if d.parts.more {
		return d.parts.last.Add(partExpiry)
	}
	return time.Time{}
}

// Due is when the scanner is asked how it is.
func (d *ibmDecoder) Due() time.Time { return d.next }

func (d *ibmDecoder) Expire(now time.Time, emit driver.Emit) {
	if d.next.Equal(driver.Start()) {
		d.next, d.enabled = now.Add(ibmPoll), now
		return
	}
	if d.parts.more && !now.Before(d.parts.last.Add(partExpiry)) {
		d.parts.expire(emit)
	}
	if !now.Before(d.next) {
		d.next = now.Add(ibmPoll)
		d.tell(ibmStatus)
	}
}

// tell notes a command that is not noted already.
func (d *ibmDecoder) tell(c string) {
	if !slices.Contains(d.say, c) {
		d.say = append(d.say, c)
	}
}

func (d *ibmDecoder) Decode(r driver.Read, emit driver.Emit) {
	data := r.Data
	if d.numbered {
		if data[0] != d.in {
			return
		}
		data = data[1:]
	}
	data = data[min(d.offset, len(data)):]
	if len(data) < ibmHead || int(data[0]) < ibmHead || int(data[0]) > len(data) {
		d.parts.spoil()
		emit(driver.Failure(r.At, "report", fmt.Sprintf("a report of %d bytes does not have the length that it says", len(data))))
		return
	}
	d.next = r.At.Add(ibmPoll)
	status := uint32(data[1]) | uint32(data[2])<<8 | uint32(data[3])<<16
	body := data[ibmHead:data[0]]
	if status&ibmReply != 0 {
		body = nil
	}
	if len(body) == 0 {
		d.attend(status, r.At, emit)
	}
	d.complain(status, len(body) > 0, r.At, emit)
	switch {
	case len(body) == 0:
	case status&ibmSpoils != 0:
		d.parts.spoil()
	default:
		d.part(body, r.At, emit)
	}
}
