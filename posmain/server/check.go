package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"posd/basket"
	"posd/gs1"
	"posd/posmain"
)

// maxDepth bounds how deep a body may nest. A basket nests three deep.
const maxDepth = 16

// parse reads the body of a request. The error is a problem to answer with,
// and holds no card number: the fields are looked through before anything that
// quotes them.
func parse(body []byte) (basket.Basket, *posmain.Problem) {
	if !utf8.Valid(body) {
		return basket.Basket{}, problem(posmain.ProblemBadRequest, "the body is not UTF-8")
	}
	in := inspector{dec: json.NewDecoder(bytes.NewReader(body))}
	in.dec.UseNumber()
	if err := in.value("", 0); err != nil {
		return basket.Basket{}, in.problem(err)
	}
	b, err := basket.Parse(body)
	if err != nil {
		return basket.Basket{}, problem(posmain.ProblemInvalidBasket, shorten(err.Error()))
	}
	if field := cardNumberIn(b); field != "" {
		return basket.Basket{}, problem(posmain.ProblemCardNumber, field+" holds what looks like the number of a card or a person")
	}
	if b.Sequence > math.MaxInt64 {
		return basket.Basket{}, problem(posmain.ProblemInvalidBasket, "sequence is above 2^63-1")
	}
	return b, nil
}

// judged are the fields that inspector passes over. The id and the incarnation
// may be all digits by chance, and basket.Parse holds them to their form; the
// transaction's number is the POS program's own, and as long as it likes; the
// fields of a line are basket.Line.PersonNumber's to judge, which knows the
// symbology.
var judged = map[string]bool{"id": true, "incarnation": true, "transaction": true, "lines[].upc": true, "lines[].gtin": true, "lines[].data": true}

// secrets are names of fields that have no business in a basket.
var secrets = map[string]bool{"tid": true, "enctid": true, "enc_tid": true, "pan": true, "track": true, "track1": true, "track2": true}

var (
	errCardNumber = errors.New("holds what looks like a card number")
	errSecret     = errors.New("must not be sent to a POS main computer")
)

// inspector walks over every value of a body, those too that no version of a
// basket knows yet: the body is kept as it is.
type inspector struct {
	dec *json.Decoder
	at  string // the field that an error is about
}

func (in *inspector) problem(err error) *posmain.Problem {
	switch {
	case errors.Is(err, errCardNumber), errors.Is(err, errSecret):
		return problem(posmain.ProblemCardNumber, shorten(fmt.Sprintf("%s %v", in.at, err)))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return problem(posmain.ProblemBadRequest, "the body ends before the basket does")
	}
	return problem(posmain.ProblemBadRequest, shorten("the body is not a JSON object as the API describes it: "+err.Error()))
}

func (in *inspector) value(at string, depth int) error {
	token, err := in.dec.Token()
	if err != nil {
		return err
	}
	if depth == 0 && token != json.Delim('{') {
		return errors.New("it does not begin with a brace")
	}
	if depth == maxDepth {
		return errors.New("it nests too deep")
	}
	switch v := token.(type) {
	case json.Delim:
		return in.inside(v, at, depth)
	case string:
		return in.text(v, at)
	case json.Number:
		return in.text(v.String(), at)
	}
	return nil
}

// inside walks over the members of an object or array up to its end.
func (in *inspector) inside(opening json.Delim, at string, depth int) error {
	seen := map[string]bool{}
	for in.dec.More() {
		member := at + "[]"
		if opening == '{' {
			name, err := in.name(at, seen)
			if err != nil {
				return err
			}
			member = strings.TrimPrefix(at+"."+name, ".")
		}
		if err := in.value(member, depth+1); err != nil {
			return err
		}
	}
	_, err := in.dec.Token()
	return err
}

// name reads the name of a member. Names differ in more than case, so that no
// two readers of a body can see two baskets in it.
func (in *inspector) name(at string, seen map[string]bool) (string, error) {
	token, err := in.dec.Token()
	if err != nil {
		return "", err
	}
	name, _ := token.(string)
	switch {
	case !isName(name):
		return "", errors.New("a field's name is not of a-z, 0-9 and _, or too long")
	case seen[name]:
		return "", fmt.Errorf("a field named %s stands twice in one object", name)
	case secrets[name]:
		in.at = "a field named " + name
		return "", errSecret
	}
	seen[name] = true
	return name, nil
}

func (in *inspector) text(text, at string) error {
	if _, err := basket.ParseID(text); judged[at] && (at != "id" || err == nil) || !basket.HoldsCardNumber(text) {
		return nil
	}
	in.at = at
	return errCardNumber
}

// isName says whether a field may be called that. Fewer digits than a card has
// are all that a name can hold.
func isName(s string) bool {
	digits := 0
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' {
			digits++
		} else if c != '_' && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= 64 && digits < 12
}

// cardNumberIn gives the first field of a line that holds the number of a card
// or person, "" if none does.
func cardNumberIn(b basket.Basket) string {
	for _, l := range b.Lines {
		if field := cardNumberInLine(l); field != "" {
			return fmt.Sprintf("line %d: %s", l.Number, field)
		}
	}
	return ""
}

func cardNumberInLine(l basket.Line) string {
	if l.PersonNumber() {
		return "upc or data"
	}
	if _, err := gs1.ParseGTIN(l.GTIN); l.GTIN != "" && err != nil && basket.HoldsCardNumber(l.GTIN) {
		return "gtin"
	}
	return ""
}

// shorten keeps a detail readable, whatever it quotes.
func shorten(s string) string {
	const limit = 300
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
