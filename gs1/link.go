package gs1

import (
	"errors"
	"strings"
)

// ErrCompressed is a compressed GS1 Digital Link: a text of base64url that holds
// the elements as bits.
var ErrCompressed = errors.New("a compressed GS1 Digital Link is not read")

// ParseLink reads a GS1 Digital Link URI (GS1 Digital Link Standard: URI Syntax
// 1.4, uncompressed), such as
//
//	https://id.gs1.org/01/09506000134352/10/ABC?17=261231
//
// on any host, behind any path: a key, its qualifiers in order, and data
// attributes in the query, whose other parameters are passed over. Names such
// as gtin for AIs and a GTIN of 8, 12 or 13 digits are taken, as earlier
// versions of the standard had them.
//
// isLink is false, and err nil, for whatever is no Digital Link: other URIs have
// no key in their path with data that look like it. A Digital Link that is
// wrong gives what elements can be told apart, and an *ElementError, whose At
// counts from the URI's beginning; Err is ErrCompressed for a compressed one.
func ParseLink(uri string) (elements []Element, isLink bool, err error) {
	elements, isLink, err = AppendLink(nil, uri)
	if isLink {
		elements, err = checked(elements, err)
	}
	return elements, isLink, err
}

// AppendLink reads a Digital Link as ParseLink does, without holding its
// elements against each other, and appends them to dst.
func AppendLink(dst []Element, uri string) (elements []Element, isLink bool, err error) {
	l, ok := splitLink(uri)
	if !ok {
		return dst, false, nil
	}
	r := linkReader{link: l}
	if l.key < 0 {
		r.fail("", l.path, ErrCompressed.Error())
		r.err.Err = ErrCompressed
		return dst, true, r.err
	}
	r.characters()
	first := len(dst)
	dst = r.readPath(dst)
	r.qualifiers(dst[first:])
	dst = r.readQuery(dst, first)
	if r.err != nil {
		return dst, true, r.err
	}
	return dst, true, nil
}

// LinkRest gives what of a Digital Link is not its elements: host, path before
// the key, other parameters, fragment. It is all of a text that is no Digital
// Link.
func LinkRest(uri string) string {
	l, ok := splitLink(uri)
	if !ok || l.key < 0 {
		return uri
	}
	rest := []string{uri[:l.key]}
	for at, end := l.query, 0; at < l.end; at = end + 1 {
		end = l.parameter(at)
		if name, _, ok := strings.Cut(uri[at:end], "="); !ok || !IsDigits(name) {
			rest = append(rest, uri[at:end])
		}
	}
	return strings.Join(append(rest, uri[l.end:]), " ")
}

// link is where the parts of a Digital Link begin.
type link struct {
	uri   string
	path  int // behind the host
	key   int // the segment of the primary key; -1 if the link is compressed
	query int // behind ?, or the end
	end   int // of the query: the fragment's #, or the end
}

// pathEnd is where the path ends.
func (l *link) pathEnd() int {
	if l.query > l.path && l.uri[l.query-1] == '?' {
		return l.query - 1
	}
	return l.query
}

// parameter gives where the parameter that begins at at ends.
func (l *link) parameter(at int) int {
	if n := strings.IndexByte(l.uri[at:l.end], '&'); n >= 0 {
		return at + n
	}
	return l.end
}

// splitLink finds the parts of a Digital Link. ok is false if uri is none.
func splitLink(uri string) (l link, ok bool) {
	host := schemeLength(uri)
	if host == 0 {
		return l, false
	}
	l = link{uri: uri, end: len(uri)}
	if n := strings.IndexByte(uri, '#'); n >= 0 {
		l.end = n
	}
	n := strings.IndexByte(uri[min(host, l.end):l.end], '/')
	if n < 1 {
		return l, false
	}
	l.path, l.query = host+n, l.end
	if n := strings.IndexByte(uri[l.path:l.end], '?'); n >= 0 {
		l.query = l.path + n + 1
	}
	if strings.IndexByte(uri[host:l.path], '?') >= 0 {
		return l, false
	}
	l.key = l.findKey()
	return l, l.key >= 0 || l.isCompressed()
}

// schemeLength is the length of https:// or http:// before a URI, 0 if there is
// none.
func schemeLength(uri string) int {
	for _, scheme := range [...]string{"https://", "http://"} {
		if len(uri) > len(scheme) && strings.EqualFold(uri[:len(scheme)], scheme) {
			return len(scheme)
		}
	}
	return 0
}

// findKey gives where the segment of the primary key begins: the last from
// which on the path is pairs of AIs and data, else the last of all, for the path
// of a link that is wrong.
func (l *link) findKey() int {
	found := -1
	end := l.pathEnd()
	for value := end; ; {
		value = strings.LastIndexByte(l.uri[l.path:max(value, l.path)], '/') + l.path
		if value <= l.path {
			break
		}
		ai := strings.LastIndexByte(l.uri[l.path:value], '/') + l.path
		d := lookup(aiOf(l.uri[ai+1 : value]))
		if d.has(key) && l.plausible(d, value+1) {
			return ai + 1
		}
		if d == nil {
			break
		}
		value = ai
	}
	for at := l.path + 1; at < end; {
		next := at + len(l.segment(at, end)) + 1
		if d := lookup(aiOf(l.uri[at : next-1])); d.has(key) && next < end && l.plausible(d, next) {
			found = at
		}
		at = next
	}
	return found
}

// segment gives the segment of the path that begins at at.
func (l *link) segment(at, end int) string {
	segment, _, _ := strings.Cut(l.uri[at:end], "/")
	return segment
}

// resolver reports whether the host is GS1's own resolver.
func (l *link) resolver() bool {
	return strings.EqualFold(l.uri[schemeLength(l.uri):l.path], "id.gs1.org")
}

// plausible reports whether the segment at at looks like the data of a key: the
// years, months and words of other URIs do not.
func (l *link) plausible(d *definition, at int) bool {
	data := Unescape(l.segment(at, l.pathEnd()), false)
	digits := len(data) - len(strings.TrimLeft(data, anyDigit))
	switch {
	case l.resolver():
		return data != ""
	case d.parts[0].set != 'N':
		return digits >= 4 // a company prefix
	case len(d.parts) == 1 || len(d.parts) == 2 && d.parts[1].set == 'N':
		return digits >= 6 && digits == len(data)
	}
	return digits >= 6
}

// isCompressed reports whether the path ends with a compressed Digital Link: its
// first 8 bits are the AI, two digits of 4 bits, and the next 47 a GTIN whose
// check digit is right. On GS1's own resolver it is any base64url.
func (l *link) isCompressed() bool {
	end := l.pathEnd()
	last := l.uri[l.path:end]
	last = last[strings.LastIndexByte(last, '/')+1:]
	if len(last) < 10 {
		return false
	}
	bits := uint64(0)
	for i := range len(last) {
		n := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", last[i])
		if n < 0 {
			return false
		}
		if i < 10 {
			bits = bits<<6 | uint64(n)
		}
	}
	if l.resolver() {
		return true
	}
	gtin := bits >> 5 & (1<<47 - 1)
	var digits [14]byte
	for i := range digits {
		digits[13-i] = byte('0' + gtin%10)
		gtin /= 10
	}
	return bits>>52 == 0x01 && gtin == 0 && VerifyCheckDigit(string(digits[:])) == nil
}

// aliases are the names of AIs in paths of earlier versions of the standard.
var aliases = [...]struct{ name, ai string }{
	{"cpid", "8010"}, {"cpsn", "8011"}, {"cpv", "22"}, {"gcn", "255"}, {"gdti", "253"}, {"giai", "8004"}, {"ginc", "401"}, {"gln", "414"},
	{"glnx", "254"}, {"gmn", "8013"}, {"grai", "8003"}, {"gsin", "402"}, {"gsrn", "8018"}, {"gsrnp", "8017"}, {"gtin", "01"}, {"itip", "8006"},
	{"lot", "10"}, {"party", "417"}, {"refno", "8020"}, {"ser", "21"}, {"srin", "8019"}, {"sscc", "00"},
}

// aiOf gives the AI that a segment of a path names; the segment itself if it is
// no name.
func aiOf(segment string) string {
	for i := range aliases {
		if aliases[i].name == segment {
			return aliases[i].ai
		}
	}
	return segment
}

// Unescape resolves percent-encoding, and in a query + as a space. What is
// badly encoded stays as it is.
func Unescape(s string, query bool) string {
	if strings.IndexByte(s, '%') < 0 && (!query || strings.IndexByte(s, '+') < 0) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b = append(b, hexDigit(s[i+1])<<4|hexDigit(s[i+2]))
			i += 2
		case c == '+' && query:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func hexDigit(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// linkReader reads the elements of a Digital Link. They go through its methods
// and not into a field, so that the caller's slice need not be allocated.
type linkReader struct {
	link
	err *ElementError // of the first that is wrong
}

func (r *linkReader) fail(ai string, at int, reason string) {
	if r.err == nil {
		r.err = &ElementError{AI: ai, At: at, Reason: reason}
	}
}

// characters looks for what no URI may hold (RFC 3986).
func (r *linkReader) characters() {
	for i := range len(r.uri) {
		if c := r.uri[i]; !isAlnum(c) && strings.IndexByte("-._~:/?#[]@!$&'()*+,;=%", c) < 0 {
			r.fail("", i, "a URI must not hold such a character")
			return
		}
	}
}

// readPath reads the key and what follows it.
func (r *linkReader) readPath(elements []Element) []Element {
	end := r.pathEnd()
	for at := r.key; at <= end; {
		name := r.segment(at, end)
		ai := aiOf(name)
		data := at + len(name) + 1
		switch {
		case lookup(ai) == nil:
			r.fail("", at, "its path goes on with something that is no AI; a compressed part is not read")
			return elements
		case data >= end || r.uri[data] == '/':
			r.fail(ai, min(data, end), "its path gives it no data")
			return elements
		}
		raw := r.segment(data, end)
		elements = append(elements, r.element(ai, at, data, raw, false))
		at = data + len(raw) + 1
	}
	return elements
}

// element gives the element of an AI that stands at at, with its data.
func (r *linkReader) element(ai string, at, dataAt int, raw string, query bool) Element {
	d, data := lookup(ai), Unescape(raw, query)
	if n := len(data); ai == "01" && (n == 8 || n == 12 || n == 13) && IsDigits(data) {
		data = zeros[n:] + data
	}
	if err := d.check(ai, data, dataAt); err != nil && r.err == nil {
		if len(data) != len(raw) {
			err.At = dataAt // a place in the data is none in the URI
		}
		r.err = err
	}
	return Element{AI: ai, Title: d.name(), Value: data, At: at}
}

// qualifiers holds the path against the qualifiers that its key may have.
func (r *linkReader) qualifiers(path []Element) {
	for i := 1; i < len(path); i++ {
		if !qualify(path[:i+1], "") {
			r.fail(path[i].AI, path[i].At, "it must not stand there behind AI ("+path[0].AI+")")
			return
		}
	}
}

// qualify reports whether a path is a key and qualifiers that it may have, in
// their order, with one more among them if that is not empty.
func qualify(path []Element, more string) bool {
	if len(path) == 0 || len(path) == 1 && more == "" {
		return more == ""
	}
	for rest, sequence := lookup(path[0].AI).qualifiers, ""; rest != ""; {
		sequence, rest, _ = strings.Cut(rest, "|")
		n, found := 1, more == ""
		for ais, ai := sequence, ""; ais != ""; {
			ai, ais, _ = strings.Cut(ais, ",")
			if n < len(path) && path[n].AI == ai {
				n++
			} else if ai == more {
				found = true
			}
		}
		if n == len(path) && found {
			return true
		}
	}
	return false
}

// readQuery reads the data attributes of a link whose own elements begin at
// first.
func (r *linkReader) readQuery(elements []Element, first int) []Element {
	path := elements[first:]
	for at, end := r.query, 0; at < r.end; at = end + 1 {
		end = r.parameter(at)
		name, raw, ok := strings.Cut(r.uri[at:end], "=")
		if !ok || !IsDigits(name) {
			continue // somebody else's
		}
		d := lookup(name)
		switch {
		case d == nil && len(name) > longestAI: // its name may be anybody's number
			r.fail("", at, "no AI has so many digits as the name of this parameter")
			continue
		case d == nil:
			r.fail(name, at, "GS1 has given out no such AI")
			continue
		case raw == "":
			r.fail(name, at+len(name)+1, "its parameter gives it no data")
			continue
		case stands(elements[first:], name):
			r.fail(name, at, "it stands twice")
		case qualify(path, name):
			r.fail(name, at, "it belongs in the path")
		case !d.has(attribute):
			r.fail(name, at, "it must not stand in the query")
		}
		elements = append(elements, r.element(name, at, at+len(name)+1, raw, true))
	}
	return elements
}

// longestAI is the most digits of an AI.
const longestAI = 4

// stands reports whether an AI is among the elements.
func stands(elements []Element, ai string) bool {
	for i := range elements {
		if elements[i].AI == ai {
			return true
		}
	}
	return false
}
