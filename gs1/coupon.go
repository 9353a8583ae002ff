package gs1

import "strings"

// Coupon is a North American coupon as AI 8110 holds it (North American Coupon
// Application Guideline Using GS1 DataBar Expanded Symbols, R2.0). What the
// coupon leaves out is empty.
type Coupon struct {
	Company   string      // GS1 company prefix of who funds it
	Offer     string      // 6 digits
	SaveValue string      // money with two decimals, unless SaveCode says otherwise
	Purchases [3]Purchase // what has to be bought: the first is always there
	Rules     string      // how the purchases are combined: 0 to 3
	Expires   string      // YYMMDD
	Starts    string      // YYMMDD
	Serial    string
	Retailer  string // GS1 company prefix or GLN of who takes it
	SaveCode  string // what SaveValue is; 0 as if left out
	AppliesTo string // which of the purchases it is for
	Store     string // the store coupon flag
	NoDouble  string // 1: not to be multiplied
}

// Purchase is one thing that has to be bought.
type Purchase struct {
	Requirement string // how much
	Code        string // of what: 0 is pieces
	Family      string // of the company's goods: 3 digits
	Company     string // "" if it is the one that funds the coupon
}

// Offer is a North American coupon of the positive offer file, as AI 8112 holds
// it (GS1 AI (8112) Coupon Data Specification).
type Offer struct {
	Format string // 0 or 1
	Funder string // GS1 company prefix
	Offer  string // 6 digits
	Serial string
}

// ParseCoupon reads the data of AI 8110. The error is an *ElementError whose At
// counts from where the data begin.
func ParseCoupon(data string) (Coupon, error) {
	c, pos, reason := parseCoupon(data)
	if reason != "" {
		return Coupon{}, &ElementError{AI: "8110", At: pos, Reason: reason}
	}
	return c, nil
}

// ParseOffer reads the data of AI 8112. Errors are as in ParseCoupon.
func ParseOffer(data string) (Offer, error) {
	o, pos, reason := parseOffer(data)
	if reason != "" {
		return Offer{}, &ElementError{AI: "8112", At: pos, Reason: reason}
	}
	return o, nil
}

// The digits that fields of a coupon may have.
const (
	anyDigit      = "0123456789"
	companyDigits = "0123456"  // and 6 is the length of a company prefix
	otherCompany  = "01234569" // 9: the same company
	valueDigits   = "12345"    // the length of a value
	purchaseCodes = "012349"
	saveCodes     = "01256"
	retailerSizes = "1234567"
)

func parseCoupon(data string) (c Coupon, pos int, reason string) {
	r := couponReader{data: data}
	c.Company = r.counted(companyDigits, 6, "company prefix")
	c.Offer = r.take(6, "offer code")
	c.SaveValue = r.counted(valueDigits, 0, "save value")
	c.Purchases[0] = r.purchase()
	if r.field('1') {
		c.Rules = r.one("0123", "rule of the purchases")
		c.Purchases[1] = r.otherPurchase()
	}
	if r.field('2') {
		c.Purchases[2] = r.otherPurchase()
	}
	if r.field('3') {
		c.Expires = r.date("expiry date")
	}
	if r.field('4') {
		c.Starts = r.date("start date")
	}
	if c.Expires != "" && c.Starts > c.Expires {
		r.fail(r.at-6, "it expires before it starts")
	}
	if r.field('5') {
		c.Serial = r.counted(anyDigit, 6, "serial number")
	}
	if r.field('6') {
		c.Retailer = r.counted(retailerSizes, 6, "retailer")
	}
	if r.field('9') {
		c.SaveCode = r.one(saveCodes, "save value code")
		c.AppliesTo = r.one("012", "item that the value is for")
		c.Store = r.one(anyDigit, "store coupon flag")
		c.NoDouble = r.one("01", "flag against multiplying")
	}
	r.end()
	return c, r.pos, r.reason
}

func parseOffer(data string) (o Offer, pos int, reason string) {
	r := couponReader{data: data}
	o.Format = r.one("01", "format")
	o.Funder = r.counted(companyDigits, 6, "funder")
	o.Offer = r.take(6, "offer code")
	o.Serial = r.counted(anyDigit, 6, "serial number")
	r.end()
	return o, r.pos, r.reason
}

// couponReader reads a coupon's fields one after the other. After the first
// that is wrong it gives nothing any more.
type couponReader struct {
	data   string
	at     int
	pos    int // of what is wrong
	reason string
}

func (r *couponReader) fail(pos int, reason string) {
	if r.reason == "" {
		r.pos, r.reason = pos, reason
	}
}

// take reads n digits.
func (r *couponReader) take(n int, what string) string {
	if r.reason != "" {
		return ""
	}
	if r.at+n > len(r.data) {
		r.fail(len(r.data), "the coupon ends within its "+what)
		return ""
	}
	field := r.data[r.at : r.at+n]
	if !IsDigits(field) {
		r.fail(r.at, "the coupon's "+what+" is not all digits")
		return ""
	}
	r.at += n
	return field
}

// one reads one of the digits allowed.
func (r *couponReader) one(allowed, what string) string {
	digit := r.take(1, what)
	if digit != "" && !strings.Contains(allowed, digit) {
		r.fail(r.at-1, "the coupon's "+what+" is none of "+allowed)
		return ""
	}
	return digit
}

// counted reads a digit that tells a field's length, less plus, and the field.
func (r *couponReader) counted(allowed string, plus int, what string) string {
	size := r.one(allowed, what)
	if size == "" || size == "9" && allowed == otherCompany {
		return ""
	}
	return r.take(int(size[0]-'0')+plus, what)
}

// field reports whether an optional field comes next, and passes over its mark.
func (r *couponReader) field(mark byte) bool {
	if r.reason != "" || r.at == len(r.data) || r.data[r.at] != mark {
		return false
	}
	r.at++
	return true
}

func (r *couponReader) purchase() (p Purchase) {
	p.Requirement = r.counted(valueDigits, 0, "purchase requirement")
	p.Code = r.one(purchaseCodes, "purchase requirement code")
	p.Family = r.take(3, "family code")
	return p
}

func (r *couponReader) otherPurchase() Purchase {
	p := r.purchase()
	p.Company = r.counted(otherCompany, 6, "company prefix")
	return p
}

func (r *couponReader) date(what string) string {
	date := r.take(6, what)
	if date != "" && !isDate(2000+number(date[:2]), date[2:], false) {
		r.fail(r.at-6, "the coupon's "+what+" is none of the calendar")
		return ""
	}
	return date
}

// end reports what is left over.
func (r *couponReader) end() {
	if r.reason == "" && r.at < len(r.data) {
		r.fail(r.at, "something follows the coupon's last field")
	}
}
