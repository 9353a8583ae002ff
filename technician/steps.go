package technician

import (
	"fmt"
	"strings"

	"posd/drivers/driver"
	"posd/msr"
	"posd/scanner"
)

// times is how often the same must be read, for a device to count as sure.
const times = 3

func scannerSteps() []step {
	return []step{
		{key: "read", title: "Reads the same label three times", prompt: "Scan one product three times.", heard: sameLabel},
		{
			key: "2d", title: "Reads a GS1 two-dimensional code", optional: true,
			prompt: "Scan a GS1 DataMatrix or a QR code of a product. Skip it if the scanner reads bar codes alone.", heard: twoDimensional,
		},
		replug(),
		{key: "after", title: "Reads after it was put back", prompt: "Scan the product once more.", heard: anything},
	}
}

func cardSteps() []step {
	return []step{
		{key: "read", title: "Reads the same card three times", prompt: "Swipe one test card three times: fast, slow, and the other way if the reader can.", heard: sameCard},
		{
			key: "bad", title: "Says that a card could not be read", optional: true,
			prompt: "Swipe the card with its stripe to the wrong side. Skip it if the reader then stays silent.", heard: badCard,
		},
		replug(),
		{key: "after", title: "Reads after it was put back", prompt: "Swipe the card once more.", heard: anything},
	}
}

func keypadSteps() []step {
	return []step{
		{key: "digits", title: "Sends every digit", prompt: "Press 1 2 3 4 5 6 7 8 9 0 and Enter.", heard: digits},
		{key: "clear", title: "Has a key that clears", prompt: "Press 1, then Clear.", heard: key(msr.EntryClear)},
		{key: "close", title: "Has a key that closes the basket", optional: true, prompt: "Press the key that closes the basket. Skip it if there is a POS program.", heard: key(msr.EntryClose)},
		replug(),
		{key: "after", title: "Works after it was put back", prompt: "Press 1 2 3 4 5 6 7 8 9 0 and Enter once more.", heard: digits},
	}
}

// replug has the device unplugged and put back.
func replug() step {
	return step{
		key: "replug", title: "Comes back after it was unplugged", prompt: "Unplug the device, wait a second, and plug it in again.",
		state: func(c *Check, state string) (bool, string) {
			switch {
			case state == "reading" && c.gone:
				return true, "it is read again"
			case state != "reading" && !c.gone:
				c.gone = true
				return false, "it is " + state
			}
			return false, ""
		},
	}
}

// fault counts what could not be read.
func (c *Check) fault(format string, a ...any) (bool, string) {
	c.faults++
	return false, fmt.Sprintf(format, a...)
}

// one gives the only event of what was heard, or says why there is none.
func (c *Check) one(h Heard) (e driver.Event, why string) {
	events := h.Events()
	own := h.by(c.report.Device.Driver)
	switch {
	case h.Best == "" && len(own) > 0 && own[0].Failed():
		return e, "it could not be read: " + own[0].Reason
	case h.Best == "":
		return e, fmt.Sprintf("%d bytes came that no driver made sense of", h.Bytes)
	case h.Best != c.report.Device.Driver:
		return e, fmt.Sprintf("driver %s does not understand it, and %s does", c.report.Device.Driver, h.Best)
	}
	return events[len(events)-1], ""
}

// repeat counts good reads of one thing.
func (c *Check) repeat(what, said string) (bool, string) {
	if len(c.good) > 0 && c.good[0] != what {
		c.good = nil
		_, remark := c.fault("it is another than before: %s", said)
		return false, remark
	}
	c.good = append(c.good, what)
	return len(c.good) == times, fmt.Sprintf("%d of %d: %s", len(c.good), times, said)
}

func sameLabel(c *Check, h Heard) (bool, string) {
	e, why := c.one(h)
	switch {
	case why != "":
		return c.fault("%s", why)
	case e.Type != driver.Scan:
		return c.fault("it is a %s, and no label", e.Type)
	case e.Symbology == scanner.Unknown:
		return c.fault("nothing tells the type of the label: set the scanner to send identifiers (ids)")
	case e.GTIN == "":
		return c.fault("it is no label of a product")
	}
	return c.repeat(string(e.GTIN), fmt.Sprintf("%s, %s, in %.0f ms", e.Symbology, e.GTIN, h.Took*1000))
}

func twoDimensional(c *Check, h Heard) (bool, string) {
	e, why := c.one(h)
	if why != "" {
		return c.fault("%s", why)
	}
	s := string(e.Symbology)
	if !strings.Contains(s, "DATAMATRIX") && !strings.Contains(s, "QR") {
		return c.fault("it is a %s", s)
	}
	return true, fmt.Sprintf("%s, %s", s, e.GTIN)
}

func sameCard(c *Check, h Heard) (bool, string) {
	e, why := c.one(h)
	switch {
	case why != "":
		return c.fault("%s", why)
	case e.Type == driver.Encrypted:
		return c.repeat("encrypted "+e.Last4, "the reader encrypts; ends in "+e.Last4)
	case e.Type != driver.Swipe:
		return c.fault("it is a %s, and no card", e.Type)
	case e.Last4 == "":
		return c.fault("it has no number: %s", e.Reason)
	}
	return c.repeat(e.Last4, "ends in "+e.Last4+", "+tracks(e))
}

// tracks says which tracks were read.
func tracks(e driver.Event) string {
	var read []string
	for _, t := range e.Tracks {
		if t.Status != msr.TrackNone {
			read = append(read, fmt.Sprintf("track %d %s", t.Number, strings.TrimSpace(string(t.Status)+" "+t.Code)))
		}
	}
	return strings.Join(read, ", ")
}

func badCard(c *Check, h Heard) (bool, string) {
	for _, e := range h.by(c.report.Device.Driver) {
		if e.Failed() {
			return true, "it says so: " + e.Code
		}
	}
	return c.fault("it read something")
}

func digits(c *Check, h Heard) (bool, string) {
	e, why := c.one(h)
	switch {
	case why != "":
		return c.fault("%s", why)
	case e.Type != driver.Key || e.Action != "number":
		return false, ""
	case e.Last4 != "7890":
		return c.fault("the digits are not 1 to 0: they end in %s", e.Last4)
	}
	return true, "ten digits and Enter"
}

// key waits for a key that is no number.
func key(kind msr.EntryKind) func(*Check, Heard) (bool, string) {
	return func(c *Check, h Heard) (bool, string) {
		for _, e := range h.Events() {
			if e.Type == driver.Key && e.Action == string(kind) {
				return true, "it is there"
			}
		}
		return false, ""
	}
}

func anything(c *Check, h Heard) (bool, string) {
	e, why := c.one(h)
	if why != "" {
		return c.fault("%s", why)
	}
	return true, "it is read: " + string(e.Type)
}
