package tid

import "bytes"

// plan is how a country's telephone numbers are dialled (ITU-T E.164 and the
// national numbering plans that the ITU publishes).
type plan struct {
	calling string   // country calling code
	exit    []string // international prefixes
	// Prefixes of a call within the country, no part of the number. One that does
	// not begin with zero may also begin a number: then all numbers have one
	// length.
	trunk    []string
	min, max int    // digits of the national significant number
	first    string // what it may begin with; "" is 1 to 9
}

// nanp is the North American Numbering Plan: an area code begins with 2 to 9.
var nanp = plan{"1", []string{"011"}, []string{"1"}, 10, 10, "23456789"}

const (
	// minE164 and maxE164 bound an international number: E.164 allows 15
	// digits, the shortest in use have 7.
	minE164, maxE164 = 7, 15
	// italian numbers keep their leading zero abroad.
	italian = "0123456789"
)

// KnowsCountry reports whether telephone numbers can be read as keyed in by
// people of country, an ISO 3166 alpha-2 code in capitals.
func KnowsCountry(country string) bool {
	_, ok := plans[country]
	return ok
}

// international gives the number behind an exit prefix.
func (p plan) international(number []byte) (rest []byte, ok bool) {
	for _, prefix := range p.exit {
		if rest, ok = bytes.CutPrefix(number, []byte(prefix)); ok {
			return rest, true
		}
	}
	return nil, false
}

// national gives the national significant number of one keyed in.
func (p plan) national(number []byte) ([]byte, error) {
	for _, prefix := range p.trunk {
		if rest, ok := bytes.CutPrefix(number, []byte(prefix)); ok && p.fits(rest) {
			return rest, nil
		}
	}
	if p.fits(number) {
		return number, nil
	}
	if rest, ok := bytes.CutPrefix(number, []byte(p.calling)); ok && p.fits(rest) {
		return rest, nil
	}
	return nil, p.misfit(number)
}

func (p plan) fits(national []byte) bool {
	return len(national) >= p.min && len(national) <= p.max && p.begins(national[0])
}

func (p plan) begins(c byte) bool {
	if p.first == "" {
		return c != '0'
	}
	return bytes.IndexByte([]byte(p.first), c) >= 0
}

func (p plan) misfit(number []byte) error {
	switch {
	case len(number) < p.min:
		return notATID("too short for a telephone number")
	case len(number) > p.max:
		return notATID("too long for a telephone number")
	}
	return notATID("a telephone number does not begin like this")
}

// checkE164 checks an international number. Calling codes that are in no plan
// are taken as they are.
func checkE164(number []byte) error {
	switch {
	case !allDigits(number):
		return notATID("a telephone number has digits only")
	case len(number) < minE164:
		return notATID("too short for an international telephone number")
	case len(number) > maxE164:
		return notATID("too long for an international telephone number")
	case number[0] == '0':
		return notATID("a country calling code does not begin like this")
	}
	return checkCountry(number)
}

// checkCountry checks the part behind a calling code that is known: some
// country that has the code must have such numbers.
func checkCountry(number []byte) error {
	var err error
	for _, p := range plans {
		rest, ok := bytes.CutPrefix(number, []byte(p.calling))
		if !ok {
			continue
		}
		if p.fits(rest) {
			return nil
		}
		err = p.misfit(rest)
	}
	return err
}
