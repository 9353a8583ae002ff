package technician

import (
	"strings"

	"posd/basket"
	"posd/drivers/driver"
	"posd/gs1"
)

// Redact leaves the last four digits of a label that may be a person's number,
// as a lane would never keep it in clear.
func Redact(e driver.Event) driver.Event {
	if personal(e) {
		return hidden(e)
	}
	return e
}

// hidden leaves the last four digits of a label.
func hidden(e driver.Event) driver.Event {
	e.Last4 = last4(e.Label)
	e.Data, e.DataBase64, e.Label, e.GTIN, e.AddOn = "", "", "", "", ""
	return e
}

// personal reports whether a label may be a person's number.
func personal(e driver.Event) bool {
	line := basket.Line{UPC: e.Label, Data: []byte(e.Data), Symbology: string(e.Symbology), GTIN: string(e.GTIN), AddOn: e.AddOn, Problem: e.Code}
	return line.PersonNumber()
}

// last4 gives the last four digits of a label that is a number and nothing else.
func last4(label string) string {
	digits := strings.NewReplacer(" ", "", "-", "").Replace(label)
	if len(digits) < 8 || !gs1.IsDigits(digits) {
		return ""
	}
	return digits[len(digits)-4:]
}
