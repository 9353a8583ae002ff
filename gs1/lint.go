package gs1

import "strings"

// lint is a set of rules for what a component says, by the names of the GS1
// Barcode Syntax Dictionary.
type lint uint64

const (
	lintCsum           lint = 1 << iota // check digit; definition.check does it, which tells both digits
	lintCsumalpha                       // check character pair
	lintGcppos1                         // begins with a GS1 company prefix
	lintGcppos2                         // the same, from its second digit
	lintHasnondigit                     // not digits alone
	lintYymmdd                          // date
	lintYymmd0                          // date, or the last day of a month as day 00
	lintYyyymmdd                        // date with its century
	lintHh                              // hour
	lintMi                              // minute
	lintSs                              // second
	lintHhmi                            // hour and minute
	lintHyphen                          // minus, behind a temperature
	lintIban                            // account number (ISO 13616)
	lintImporteridx                     // importer of tobacco (EU 2018/574)
	lintIso3166                         // country, three digits
	lintIso3166999                      // the same, or 999
	lintIso3166alpha2                   // country, two letters
	lintIso4217                         // currency, three digits
	lintIso5218                         // sex
	lintLatitude                        // 0 to 180 degrees from the south pole, 7 decimals
	lintLongitude                       // 0 to 360 degrees, 7 decimals
	lintMediatype                       // of ICCBBA
	lintNonzero                         // not all zeros
	lintNozeroprefix                    // no leading zero
	lintPackagetype                     // UN/ECE recommendation 21, with GS1's own
	lintPcenc                           // percent-encoding (RFC 3986)
	lintPieceoftotal                    // 0203: piece 2 of 3
	lintPosinseqslash                   // 2/3
	lintWinding                         // of a roll
	lintYesno                           // 0 or 1
	lintZero                            // all zeros
	lintCouponcode                      // North American coupon (coupon.go)
	lintCouponposoffer                  // the same, of the positive offer file
)

// check holds data against the rules. It gives where the first that is broken
// is broken, and a reason, empty if the data is good.
func (l lint) check(data string) (pos int, reason string) {
	for rest := l &^ lintCsum; rest != 0 && reason == ""; rest &= rest - 1 {
		one := rest & -rest
		switch {
		case one&(lintYymmdd|lintYymmd0|lintYyyymmdd|lintHh|lintMi|lintSs|lintHhmi) != 0:
			pos, reason = one.time(data)
		case one&(lintCsumalpha|lintGcppos1|lintGcppos2|lintIban|lintCouponcode|lintCouponposoffer) != 0:
			pos, reason = one.structure(data)
		case one&(lintPcenc|lintPieceoftotal|lintPosinseqslash|lintNonzero|lintNozeroprefix|lintHasnondigit) != 0:
			pos, reason = one.shape(data)
		default:
			reason = one.code(data)
		}
	}
	return pos, reason
}

// The reasons of wrong dates and times.
const (
	wrongDate = "its date is none of the calendar"
	wrongTime = "its time is none of the clock"
)

// time holds data against a rule of dates and times.
func (l lint) time(data string) (pos int, reason string) {
	ok, reason := true, wrongTime
	switch l {
	case lintYymmdd, lintYymmd0:
		// The years that two digits can mean hold no exception to leap years.
		ok, reason = isDate(2000+number(data[:2]), data[2:], l == lintYymmd0), wrongDate
	case lintYyyymmdd:
		ok, reason = isDate(number(data[:4]), data[4:], false), wrongDate
	case lintHh:
		ok = number(data) <= 23
	case lintMi, lintSs:
		ok = number(data) <= 59
	case lintHhmi:
		ok = number(data[:2]) <= 23 && number(data[2:]) <= 59
	}
	if ok {
		return 0, ""
	}
	return 0, reason
}

// isDate reports whether MMDD is a day of a year. Day 00 is the last of the
// month, where it is allowed.
func isDate(year int, mmdd string, day0 bool) bool {
	month, day := number(mmdd[:2]), number(mmdd[2:])
	return month >= 1 && month <= 12 && day <= daysOf(year, month) && (day > 0 || day0)
}

func daysOf(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// number is the value of digits.
func number(digits string) int {
	n := 0
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
	}
	return n
}

// structure holds data against a rule of longer structures.
func (l lint) structure(data string) (pos int, reason string) {
	switch l {
	case lintCsumalpha:
		return checkPair(data)
	case lintGcppos1:
		return companyPrefix(data)
	case lintGcppos2:
		pos, reason = companyPrefix(data[1:])
		return pos + 1, reason
	case lintIban:
		return iban(data)
	case lintCouponcode:
		_, pos, reason = parseCoupon(data)
	case lintCouponposoffer:
		_, pos, reason = parseOffer(data)
	}
	return pos, reason
}

// shape holds data against a rule of digits and their order.
func (l lint) shape(data string) (pos int, reason string) {
	switch l {
	case lintPcenc:
		return percentEncoded(data)
	case lintPieceoftotal:
		return 0, pieceOf(data[:len(data)/2], data[len(data)/2:])
	case lintPosinseqslash:
		piece, total, _ := strings.Cut(data, "/")
		if !IsDigits(piece) || !IsDigits(total) || piece[0] == '0' || total[0] == '0' {
			return 0, "it is no position in a sequence, such as 2/3"
		}
		return 0, pieceOf(piece, total)
	case lintNonzero:
		return 0, unless(strings.Trim(data, "0") != "", "it is all zeros")
	case lintNozeroprefix:
		return 0, unless(data[0] != '0', "it begins with 0")
	}
	return 0, unless(!IsDigits(data), "it has nothing but digits")
}

// code holds data against a list of codes.
func (l lint) code(data string) (reason string) {
	switch l {
	case lintIso3166:
		return unless(isCountry(data), "it is no country of ISO 3166")
	case lintIso3166999:
		return unless(data == "999" || isCountry(data), "it is no country of ISO 3166, nor 999")
	case lintIso3166alpha2:
		return unless(isCountry2(data), "it is no country of ISO 3166")
	case lintIso4217:
		return unless(Currency(data) != "", "it is no currency of ISO 4217")
	case lintIso5218:
		return unless(strings.Contains("0129", data), "it is no code of ISO 5218")
	case lintMediatype:
		return unless(data >= "01" && data <= "10" || data >= "80", "it is no type of data carrier")
	case lintPackagetype:
		return unless(isPackage(data), "it is no type of package")
	case lintLatitude:
		return unless(data <= "1800000000", "it is no latitude")
	case lintLongitude:
		return unless(data <= "3600000000", "it is no longitude")
	case lintImporteridx:
		return unless(data == "-" || data == "_" || isAlnum(data[0]), "it is no importer index")
	case lintHyphen:
		return unless(strings.Trim(data, "-") == "", "it is no minus sign")
	case lintWinding:
		return unless(strings.Contains("019", data), "it is no direction of winding")
	case lintYesno:
		return unless(strings.Contains("01", data), "it is neither 0 nor 1")
	}
	return unless(strings.Trim(data, "0") == "", "it is not 0")
}

func unless(ok bool, reason string) string {
	if ok {
		return ""
	}
	return reason
}

// pieceOf holds the number of a piece against the number of pieces.
func pieceOf(piece, total string) (reason string) {
	piece, total = strings.TrimLeft(piece, "0"), strings.TrimLeft(total, "0")
	if piece == "" || total == "" || len(piece) > len(total) || len(piece) == len(total) && piece > total {
		return "its piece is none of the total"
	}
	return ""
}

// companyPrefix holds data against what every GS1 company prefix has: at least
// four digits. Which prefixes GS1 has given out is not known here.
func companyPrefix(data string) (pos int, reason string) {
	for i := range 4 {
		if i == len(data) || !isDigit(data[i]) {
			return i, "it does not begin with a GS1 company prefix"
		}
	}
	return 0, ""
}

func percentEncoded(data string) (pos int, reason string) {
	for i := 0; i < len(data); i++ {
		if data[i] != '%' {
			continue
		}
		if len(data) < i+3 || !isHex(data[i+1]) || !isHex(data[i+2]) {
			return i, "two hexadecimal digits must follow %"
		}
		i += 2
	}
	return 0, ""
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func isAlnum(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' }

// iban checks an account number: country, length, characters, and the check of
// ISO/IEC 7064 MOD 97-10 over the characters from the fifth on, then the first
// four, letters being 10 to 35.
func iban(data string) (pos int, reason string) {
	if len(data) < 11 || len(data) > 34 || !isCountry2(data[:2]) {
		return 0, "it is no IBAN"
	}
	sum := 0
	for i := range len(data) {
		pos = (i + 4) % len(data)
		switch c := data[pos]; {
		case isDigit(c):
			sum = (sum*10 + int(c-'0')) % 97
		case 'A' <= c && c <= 'Z':
			sum = (sum*100 + int(c-'A') + 10) % 97
		default:
			return pos, "an IBAN has nothing but digits and capital letters"
		}
	}
	return 2, unless(sum == 1, "its check digits are wrong")
}
