package tid

import (
	"bytes"
	"fmt"
)

// plan is how telephone numbers are dialled in a country: ITU-T E.164 and the
// national numbering plans that the ITU publishes.
type plan struct {
	country  string // ISO 3166-1 alpha-2
	code     string // country calling code
	trunk    string // dialled before a national number, not part of it
	exit     string // dialled before an international number
	min, max int    // digits of a national number, without the trunk prefix
}

// plans is ordered by country.
var plans = [...]plan{
	{"AE", "971", "0", "00", 8, 9}, {"AR", "54", "0", "00", 10, 11}, {"AT", "43", "0", "00", 4, 13}, {"AU", "61", "0", "0011", 9, 9},
	{"BE", "32", "0", "00", 8, 9}, {"BG", "359", "0", "00", 7, 9}, {"BR", "55", "0", "00", 10, 11}, {"CA", "1", "1", "011", 10, 10},
	{"CH", "41", "0", "00", 9, 9}, {"CL", "56", "", "00", 9, 9}, {"CN", "86", "0", "00", 10, 11}, {"CO", "57", "", "00", 10, 10},
	{"CY", "357", "", "00", 8, 8}, {"CZ", "420", "", "00", 9, 9}, {"DE", "49", "0", "00", 6, 12}, {"DK", "45", "", "00", 8, 8},
	{"EE", "372", "", "00", 7, 8}, {"ES", "34", "", "00", 9, 9}, {"FI", "358", "0", "00", 5, 12}, {"FR", "33", "0", "00", 9, 9},
	{"GB", "44", "0", "00", 9, 10}, {"GR", "30", "", "00", 10, 10}, {"HK", "852", "", "001", 8, 8}, {"HR", "385", "0", "00", 8, 9},
	{"HU", "36", "06", "00", 8, 9}, {"IE", "353", "0", "00", 7, 9}, {"IL", "972", "0", "00", 8, 9}, {"IN", "91", "0", "00", 10, 10},
	{"IS", "354", "", "00", 7, 9}, {"IT", "39", "", "00", 6, 11}, {"JP", "81", "0", "010", 9, 10}, {"KR", "82", "0", "00", 8, 10},
	{"LT", "370", "0", "00", 8, 8}, {"LU", "352", "", "00", 5, 11}, {"LV", "371", "", "00", 8, 8}, {"MT", "356", "", "00", 8, 8},
	{"MX", "52", "", "00", 10, 10}, {"MY", "60", "0", "00", 8, 10}, {"NL", "31", "0", "00", 9, 9}, {"NO", "47", "", "00", 8, 8},
	{"NZ", "64", "0", "00", 8, 10}, {"PH", "63", "0", "00", 8, 10}, {"PL", "48", "", "00", 9, 9}, {"PT", "351", "", "00", 9, 9},
	{"RO", "40", "0", "00", 9, 9}, {"SE", "46", "0", "00", 7, 10}, {"SG", "65", "", "000", 8, 8}, {"SI", "386", "0", "00", 8, 8},
	{"SK", "421", "0", "00", 9, 9}, {"TH", "66", "0", "001", 8, 9}, {"TR", "90", "0", "00", 10, 10}, {"TW", "886", "0", "002", 8, 9},
	{"US", "1", "1", "011", 10, 10}, {"ZA", "27", "0", "00", 9, 9},
}

// KnowsCountry reports whether telephone numbers of a country (ISO 3166-1
// alpha-2, upper case) can be read.
func KnowsCountry(country string) bool { return planOf(country) != nil }

func planOf(country string) *plan {
	for i := range plans {
		if plans[i].country == country {
			return &plans[i]
		}
	}
	return nil
}

// NewPhone makes a TID of a telephone number as it is dialled in country: a
// national number with or without the trunk prefix, or an international one
// behind the country's exit prefix. The canonical form is E.164 without the plus
// sign. It wipes number.
func NewPhone(country string, number []byte) (TID, error) {
	defer clear(number)
	p := planOf(country)
	if p == nil {
		return TID{}, fmt.Errorf("make phone TID: %w", ErrCountry)
	}
	if !allDigits(number) {
		return TID{}, fmt.Errorf("make phone TID: %w", ErrNotATID)
	}
	if rest, ok := bytes.CutPrefix(number, []byte(p.exit)); ok {
		return international(rest)
	}
	return p.national(number)
}

// international takes a number that begins with a country code. Where the
// country is known, what follows must be a number of its plan.
func international(number []byte) (TID, error) {
	for i := range plans {
		if rest, ok := bytes.CutPrefix(number, []byte(plans[i].code)); ok {
			return plans[i].national(rest)
		}
	}
	if len(number) < minE164 || len(number) > maxE164 || number[0] == '0' {
		return TID{}, fmt.Errorf("make phone TID: %w", ErrNotATID)
	}
	return seal(Phone, number), nil
}

func (p *plan) national(number []byte) (TID, error) {
	if rest, ok := bytes.CutPrefix(number, []byte(p.trunk)); ok && p.fits(rest) {
		number = rest
	}
	if !p.fits(number) {
		return TID{}, fmt.Errorf("make phone TID: %w", ErrNotATID)
	}
	return seal(Phone, []byte(p.code), number), nil
}

// fits reports whether number, without trunk prefix, may be one of the plan's.
func (p *plan) fits(number []byte) bool {
	if len(number) < p.min || len(number) > p.max || len(p.code)+len(number) > maxE164 || len(p.code)+len(number) < minE164 {
		return false
	}
	if p.code == "1" { // NANP: an area code begins with 2 to 9
		return number[0] >= '2'
	}
	return p.trunk == "" || !bytes.HasPrefix(number, []byte(p.trunk))
}
