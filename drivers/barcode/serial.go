package barcode

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"posd/drivers/driver"
	"posd/scanner"
	"posd/tid"
)

// Serial reads scanners that send labels as text.
func Serial() driver.Driver {
	return driver.Driver{
		Name: "serial-scanner", Role: driver.Scanner, Transports: []driver.Transport{driver.TTY},
		Doc: "bar code scanners on a serial port, USB-COM or CDC-ACM",
		Mode: "scan the programming code of the interface that the scanner's manual calls RS-232, USB serial or USB-COM (Honeywell TERMID130; Zebra \"Simple COM port emulation\" or CDC; " +
			"Datalogic \"USB-COM-STD\"), and set the line here as it is set there",
		Beep: "the scanner; the host with ack and nak, where the scanner waits for its answer (NCR: interface control ACK/NAK, where a NAK has the label sent again)",
		Settings: slices.Concat([]driver.Setting{
			{Key: "preset", Values: "ncr, datalogic, honeywell, zebra", Doc: "what a make's scanners send unless they are told otherwise, in a word: " + presetsDoc() + "; settings that are given win"},
		}, labelSettings(), []driver.Setting{
			{Key: "bcc", Values: "true, false", Default: "false", Doc: "a block check character stands behind the terminator (NCR)"},
		}, driver.SignalSettings()),
		Claim:   func(a driver.Attributes) bool { return a.Transport == driver.TTY },
		Signals: driver.LineSignals,
		Open:    openSerial,
	}
}

// presets gives what the presets set. NCR: 7870 and 7874 Programming Guides.
// Datalogic: Magellan, SCRS232, and Gryphon with label identifiers sent before.
// Honeywell and Zebra: with code identifiers sent before.
func presets() map[string]driver.Settings {
	return map[string]driver.Settings{
		"ncr":       {"prefix": "STX", "terminator": "ETX", "ids": "ncr"},
		"datalogic": {"ids": "datalogic"},
		"honeywell": {"ids": "honeywell"},
		"zebra":     {"ids": "zebra"},
	}
}

func presetsDoc() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(presets())) {
		doc := name + " is"
		for _, key := range slices.Sorted(maps.Keys(presets()[name])) {
			doc += fmt.Sprintf(" %s = %s,", key, presets()[name][key])
		}
		all = append(all, strings.TrimSuffix(doc, ","))
	}
	return strings.Join(all, "; ")
}

// withPreset fills settings that are not given from the preset.
func withPreset(s driver.Settings) (driver.Settings, error) {
	name := s.Get("preset")
	if name == "" {
		return s, nil
	}
	preset, ok := presets()[name]
	if !ok {
		return nil, driver.Bad("preset", fmt.Errorf("%q is none of ncr, datalogic, honeywell, zebra", name))
	}
	all := driver.Settings{}
	maps.Copy(all, s)
	for key, value := range preset {
		if s.Get(key) == "" {
			all[key] = value
		}
	}
	return all, nil
}

func openSerial(_ driver.Attributes, s driver.Settings, _ tid.Rules) (driver.Decoder, error) {
	s, err := withPreset(s)
	if err != nil {
		return nil, err
	}
	labels, err := newLabelDecoder(s)
	if err != nil {
		return nil, err
	}
	bcc, err := s.Flag("bcc")
	switch {
	case err != nil:
		return nil, err
	case !bcc:
		return &serialDecoder{labels}, nil
	case labels.framing.Terminator < scanner.Byte:
		return nil, driver.Bad("bcc", errors.New("the terminator that it stands behind must be one byte: set terminator, or preset = ncr"))
	}
	return &bccDecoder{labelDecoder: labels, end: [1]byte{byte(labels.framing.Terminator)}}, nil
}

// serialDecoder decodes labels of a line.
type serialDecoder struct{ labelDecoder }

func (d *serialDecoder) Decode(r driver.Read, emit driver.Emit) {
	d.labels(d.framer.Push(r.Data, r.At), emit)
}

func (d *serialDecoder) Expire(now time.Time, emit driver.Emit) {
	d.labels(d.framer.Expire(now), emit)
}
