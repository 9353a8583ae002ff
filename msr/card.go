package msr

import "bytes"

// card is what the tracks say of a card.
type card struct {
	form           string // "" if no track could be read
	blank          bool   // nothing was sent that could be a track
	track1, track2 []byte // the digits in the field of the account number, nil if there are none
	disagree       bool   // both are account numbers, and differ
}

// number gives the digits that the card is known by, nil if there are none.
func (c card) number() []byte {
	if c.track2 != nil {
		return c.track2
	}
	return c.track1
}

// examine reads the tracks. noise says that more was sent than tracks, said what
// the reader says that the card is: that goes before what it looks like.
func examine(tracks [4]track, noise bool, said string) card {
	c := card{blank: !noise}
	failed := false
	for _, t := range tracks {
		c.blank = c.blank && t.Status == TrackNone
		failed = failed || t.Status == TrackError
		if t.Status == TrackOK && t.Number < 4 {
			c.form = FormOther
		}
	}
	switch {
	case c.form == "" && tracks[3].Status == TrackOK && !failed:
		c.form = FormJIS2
		return c
	case c.form != "" && (said == FormAAMVA || said == FormCADL || said == FormJIS2):
		c.form = said
		return c
	}
	one, two := tracks[0].data, tracks[1].data
	if licence1(one) || licence2(two) {
		c.form = FormAAMVA
		return c
	}
	var bank1, bank2 bool
	c.track1, bank1 = parse1(one)
	c.track2, bank2 = parse2(two)
	if bank1 || bank2 {
		c.form = FormBank
	}
	c.disagree = bank1 && c.track2 != nil && !bytes.Equal(c.track1, c.track2)
	return c
}

// maxPAN is the most digits of a primary account number (ISO/IEC 7812).
const maxPAN = 19

// parse1 gives the number on track 1: what stands before the first "^", behind a
// format code of one letter if there is one. bank reports whether the track has
// the form of ISO/IEC 7813 with format code B. Some issuers part the number by
// blanks, as it is embossed.
func parse1(data []byte) (number []byte, bank bool) {
	if len(data) == 0 {
		return nil, false
	}
	field, rest, _ := bytes.Cut(data, []byte("^"))
	coded := len(field) > 0 && field[0] >= 'A' && field[0] <= 'Z'
	if coded {
		field = field[1:]
	}
	number = compact(field)
	if number == nil {
		return nil, false
	}
	name, rest, named := bytes.Cut(rest, []byte("^"))
	bank = coded && data[0] == 'B' && len(number) <= maxPAN && named &&
		len(name) >= 2 && len(name) <= 26 && dated(rest, '^')
	return number, bank
}

// parse2 gives the number on track 2: what stands before the first "=". bank
// reports whether the track has the form of ISO/IEC 7813.
func parse2(data []byte) (number []byte, bank bool) {
	field, rest, _ := bytes.Cut(data, []byte("="))
	if len(field) == 0 || !digits(field) {
		return nil, false
	}
	return field, len(field) <= maxPAN && dated(rest, '=')
}

// dated reports whether rest begins with an expiry (YYMM) and a service code (3
// digits), or with the separator in the place of either.
func dated(rest []byte, separator byte) bool {
	for _, n := range []int{4, 3} {
		switch {
		case len(rest) > 0 && rest[0] == separator:
			rest = rest[1:]
		case len(rest) >= n && digits(rest[:n]):
			rest = rest[n:]
		default:
			return false
		}
	}
	return true
}

// compact drops the blanks of field in place. It gives nil if anything else
// than digits is in it, or nothing.
func compact(field []byte) []byte {
	out := field[:0]
	for _, c := range field {
		if c != ' ' {
			out = append(out, c)
		}
	}
	if len(out) == 0 || !digits(out) {
		return nil
	}
	return out
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// licence1 reports whether track 1 has the form of a North American driver's
// licence (AAMVA DL/ID Card Design Standard, annex on magnetic stripes): state and
// city in letters, then "^" and a name whose parts are divided by "$".
func licence1(data []byte) bool {
	if len(data) < 3 || !letter(data[0]) || !letter(data[1]) || digits(data[2:3]) {
		return false
	}
	_, rest, ok := bytes.Cut(data, []byte("^"))
	return ok && bytes.IndexByte(rest, '$') >= 0
}

func letter(c byte) bool { return c >= 'A' && c <= 'Z' }

// licence2 reports whether track 2 has the form of such a licence: an issuer
// number of AAMVA's, then behind "=" an expiry (YYMM) and a date of birth
// (CCYYMMDD). Payment cards share the issuer numbers' range, not the date.
func licence2(data []byte) bool {
	number, rest, ok := bytes.Cut(data, []byte("="))
	if !ok || len(number) < 6 || len(rest) < 12 || !digits(number[:6]) || !digits(rest[:12]) {
		return false
	}
	birth := rest[4:12]
	return aamvaIssuer(number[:6]) && within(birth[:2], "18", "20") &&
		within(birth[4:6], "01", "12") && within(birth[6:8], "01", "31")
}

func aamvaIssuer(n []byte) bool {
	return within(n, "636000", "636069") || within(n, "604426", "604434")
}

// within compares digits of equal number.
func within(n []byte, low, high string) bool {
	return bytes.Compare(n, []byte(low)) >= 0 && bytes.Compare(n, []byte(high)) <= 0
}
