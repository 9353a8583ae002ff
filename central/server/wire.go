package server

import (
	"encoding/base64"
	"math"
	"strconv"

	"github.com/google/uuid"

	"posd/central"
	"posd/central/server/directory"
	"posd/identity"
)

// parseRequest reads a lookup's body as lanes write it, without allocating: r's
// EncTID goes into space. It reports false for whatever it does not know to be right;
// that is for strictjson to judge. What it takes, strictjson takes as the same.
func parseRequest(body []byte, r *central.Request, space []byte) bool {
	p := parser{rest: body}
	*r = central.Request{}
	var seen [4]bool
	p.expect('{')
	for more := true; more && !p.bad; more = p.comma('}') {
		field := -1
		switch string(p.text()) {
		case "enctid":
			field = 0
		case "basket":
			field = 1
		case "swipe":
			field = 2
		case "sealed_at":
			field = 3
		}
		if field < 0 || seen[field] {
			return false
		}
		seen[field] = true
		p.expect(':')
		switch field {
		case 0:
			r.EncTID = p.base64(space)
		case 1:
			r.Basket = p.uuid()
		case 2:
			r.Swipe = uint32(p.number(math.MaxUint32))
		case 3:
			r.SealedAt = int64(p.number(math.MaxInt64))
		}
	}
	p.space()
	return !p.bad && len(p.rest) == 0
}

// parser reads the plainest JSON from the front of rest. Once something is bad it
// stays so.
type parser struct {
	rest []byte
	bad  bool
}

func (p *parser) space() {
	for len(p.rest) > 0 {
		switch p.rest[0] {
		case ' ', '\t', '\r', '\n':
			p.rest = p.rest[1:]
		default:
			return
		}
	}
}

// next takes the next byte that is not space, 0 at the end.
func (p *parser) next() byte {
	p.space()
	if len(p.rest) == 0 {
		return 0
	}
	c := p.rest[0]
	p.rest = p.rest[1:]
	return c
}

func (p *parser) expect(c byte) { p.bad = p.next() != c || p.bad }

// comma reports whether there is more before the end.
func (p *parser) comma(end byte) bool {
	switch p.next() {
	case ',':
		return true
	case end:
	default:
		p.bad = true
	}
	return false
}

// text takes a string of printable ASCII without escapes.
func (p *parser) text() []byte {
	p.expect('"')
	if p.bad {
		return nil
	}
	for i, c := range p.rest {
		switch {
		case c == '"':
			t := p.rest[:i]
			p.rest = p.rest[i+1:]
			return t
		case c < ' ' || c > '~' || c == '\\':
			p.bad = true
			return nil
		}
	}
	p.bad = true
	return nil
}

func (p *parser) base64(space []byte) []byte {
	t := p.text()
	if p.bad || base64.StdEncoding.DecodedLen(len(t)) > len(space) {
		p.bad = true
		return nil
	}
	n, err := base64.StdEncoding.Decode(space, t)
	p.bad = err != nil
	return space[:n]
}

func (p *parser) uuid() uuid.UUID {
	t := p.text()
	if p.bad || len(t) != 36 {
		p.bad = true
		return uuid.Nil
	}
	id, err := uuid.ParseBytes(t)
	p.bad = err != nil
	return id
}

// number takes a whole number from 0 to most.
func (p *parser) number(most uint64) (n uint64) {
	p.space()
	digits := 0
	for ; digits < len(p.rest) && digits < 19 && '0' <= p.rest[digits] && p.rest[digits] <= '9'; digits++ {
		n = 10*n + uint64(p.rest[digits]-'0')
	}
	p.bad = p.bad || digits == 0 || digits > 1 && p.rest[0] == '0' || n > most
	p.rest = p.rest[digits:]
	return n
}

// appendAnswer appends the central.Answer to r as package encoding/json writes it.
func appendAnswer(dst []byte, r *central.Request, found *directory.Answer) []byte {
	dst = append(dst, `{"basket":"`...)
	dst = appendUUID(dst, r.Basket)
	dst = append(dst, `","swipe":`...)
	dst = strconv.AppendUint(dst, uint64(r.Swipe), 10)
	dst = append(dst, `,"state":"`...)
	dst = append(dst, found.State...)
	if found.State == identity.Resolved {
		dst = append(dst, `","hhid":"`...)
		dst, _ = found.HHID.AppendText(dst)
		dst = append(dst, `","deident_tid":"`...)
		dst = identity.AppendDeIdentTID(dst, found.DeIdentVersion, found.DeIdent)
	}
	return append(dst, `"}`...)
}

func appendUUID(dst []byte, id uuid.UUID) []byte {
	const hex = "0123456789abcdef"
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hex[b>>4], hex[b&15])
	}
	return dst
}
