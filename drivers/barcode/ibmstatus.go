package barcode

import (
	"time"

	"posd/drivers/driver"
	"posd/scanner"
)

// The bits of the three status bytes, the first the lowest.
const (
	ibmFlash      = 0x01
	ibmConfig     = 0x02 // the report holds the configuration
	ibmEANConfig  = 0x04 // the report holds the configuration of two-label EAN
	ibmHardware   = 0x20
	ibmDirectIO   = 0x40 // the report answers direct I/O
	ibmNotReady   = 0x80
	ibmEnabled    = 0x02 << 8
	ibmCheckDigit = 0x04 << 8
	ibmReject     = 0x80 << 8
	ibmDirectOK   = 0x08 << 16
	ibmDirectNot  = 0x10 << 16 // direct I/O is not allowed
	ibmDirectNone = 0x20 << 16 // direct I/O that the scanner does not know

	// ibmReply is set in what is no label.
	ibmReply = ibmConfig | ibmEANConfig | ibmDirectIO | ibmDirectOK | ibmDirectNot | ibmDirectNone
	// ibmSpoils is set in labels that are not to be taken.
	ibmSpoils = ibmHardware | ibmCheckDigit
)

// ibmFault is what a status says is wrong.
type ibmFault struct {
	bits         uint32
	code, reason string
}

var ibmFaults = [...]ibmFault{
	{ibmFlash, "firmware", "the scanner is writing its firmware: leave it plugged in until it is back"},
	{ibmHardware, "hardware", "the scanner reports a hardware error: unplug it and plug it in again; if it comes back, it needs repair"},
	{ibmNotReady, "not-ready", "the scanner reports that it is not ready"},
	{ibmCheckDigit, scanner.CodeCheckDigit, "the scanner reports a label with a wrong check digit"},
	{ibmReject, "command-reject", "the scanner refuses a command"},
	{ibmDirectNot | ibmDirectNone, "command-reject", "the scanner refuses direct I/O: leave the beep to it"},
}

// complain tells what a status says is wrong: of a state that lasts, when it
// begins, and for each label that it costs; of a single label, each time.
func (d *ibmDecoder) complain(status uint32, label bool, at time.Time, emit driver.Emit) {
	for _, f := range ibmFaults {
		begins := d.faults&f.bits == 0
		costs := label && f.bits&ibmSpoils != 0
		if status&f.bits != 0 && (begins || costs || f.bits == ibmCheckDigit) {
			emit(driver.Failure(at, f.code, f.reason))
		}
	}
	d.faults = status
}

// attend enables a scanner that says that it is not. One that has just been told
// may not have come to it: it is asked again, sooner than after a silence.
func (d *ibmDecoder) attend(status uint32, at time.Time, emit driver.Emit) {
	switch {
	case status&ibmEnabled != 0:
		d.tries = 0
		return
	case at.Sub(d.enabled) < ibmPatience:
		d.next = d.enabled.Add(ibmPatience)
		return
	}
	d.enabled = at
	d.tell(ibmEnable)
	d.tell(ibmStatus)
	if d.tries++; d.tries == 2 {
		emit(driver.Failure(at, "not-enabled", "the scanner stays disabled, though it was enabled twice: unplug it and plug it in again"))
	}
}
