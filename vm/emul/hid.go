package emul

import (
	"bytes"
	"encoding/binary"
	"sync"
)

// HID is a HID interface of a USB device: a scanner, card reader or keyboard.
type HID struct {
	Interface
	descriptor []byte

	mu       sync.Mutex
	features map[byte][]byte // what the host reads of feature reports, by id
	heard    []report        // from the host, oldest first
	on       func(feature bool, report []byte)
}

// report is one that the host sent.
type report struct {
	feature bool
	data    []byte
}

// The requests of HID 1.11, 7.2.
const (
	getReport   = 1
	getIdle     = 2
	getProtocol = 3
	setReport   = 9
	setIdle     = 10
	setProtocol = 11

	hidClass            = 3
	hidDescriptor       = 0x21
	hidReportDescriptor = 0x22

	outputReport  = 2
	featureReport = 3
)

// Protocols of the boot interface (HID 1.11, 4.3).
const (
	NoBoot       = 0
	BootKeyboard = 1
)

// NewHID makes a HID interface that sends by the endpoint with this number and
// has the report descriptor.
func NewHID(endpoint byte, boot byte, descriptor []byte) *HID {
	h := &HID{descriptor: descriptor, features: map[byte][]byte{}}
	h.Class, h.Subclass, h.Protocol = hidClass, boot, boot
	h.Extra = binary.LittleEndian.AppendUint16([]byte{9, hidDescriptor, 0x11, 0x01, 0, 1, hidReportDescriptor}, uint16(len(descriptor)))
	h.Endpoints = []*Endpoint{{Address: In | endpoint, Kind: Interrupt}}
	h.Control = h.control
	return h
}

// On has f called for each report that the host sends, with its id where it has
// one.
func (h *HID) On(f func(feature bool, report []byte)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on = f
}

// Answer sets what the host reads as a feature report; the id is its first byte.
func (h *HID) Answer(report []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.features[report[0]] = report
}

// Send sends an input report.
func (h *HID) Send(report []byte) { h.Endpoints[0].Send(report) }

// Drain waits until the host has taken all that was sent; it is false if the
// plug was pulled.
func (h *HID) Drain() bool { return h.Endpoints[0].Drain() }

// Heard gives the reports that came since the device was made, each with its id
// where it has one.
func (h *HID) Heard() [][]byte { return h.only(func(report) bool { return true }) }

// Outputs gives the output reports of Heard.
func (h *HID) Outputs() [][]byte { return h.only(func(r report) bool { return !r.feature }) }

func (h *HID) only(want func(report) bool) [][]byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all [][]byte
	for _, r := range h.heard {
		if want(r) {
			all = append(all, r.data)
		}
	}
	return all
}

func (h *HID) take(feature bool, data []byte) {
	h.mu.Lock()
	h.heard = append(h.heard, report{feature, bytes.Clone(data)})
	on := h.on
	h.mu.Unlock()
	if on != nil {
		on(feature, data)
	}
}

func (h *HID) control(s Setup, data []byte) ([]byte, bool) {
	switch {
	case s.Type&typeMask == standard && s.Request == getDescriptor && byte(s.Value>>8) == hidReportDescriptor:
		return h.descriptor, true
	case s.Type&typeMask != classType:
		return nil, false
	}
	switch s.Request {
	case setReport:
		h.take(byte(s.Value>>8) == featureReport, data)
		return nil, true
	case getReport:
		h.mu.Lock()
		defer h.mu.Unlock()
		report, ok := h.features[byte(s.Value)]
		return report, ok && byte(s.Value>>8) == featureReport
	case getIdle:
		return []byte{0}, true
	case getProtocol:
		return []byte{1}, true
	case setIdle, setProtocol:
		return nil, true
	}
	return nil, false
}
