package basket

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"posd/gs1"
	"posd/identity"
)

// Limits of a basket that a POS main computer takes.
const (
	MaxLines      = 10_000
	MaxIdentities = 100
	MaxText       = 2_048 // bytes of a label or of another text
)

var errNotAnID = errors.New("parse basket id: it must be a UUID in lower case, as 018f3c1e-7d0a-7cc3-9c1e-0123456789ab")

// Marshal gives the wire form of b, one JSON object. The same basket always
// gives the same bytes.
func Marshal(b Basket) ([]byte, error) {
	if b.Lines == nil {
		b.Lines = []Line{}
	}
	if b.Identities == nil {
		b.Identities = []Identity{}
	}
	return json.Marshal(b)
}

// Parse reads the wire form and checks it with Validate. Fields that this
// version does not know are passed over: a newer lane may send them.
func Parse(body []byte) (Basket, error) {
	var b Basket
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(&b); err != nil {
		return Basket{}, fmt.Errorf("parse basket: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return Basket{}, errors.New("parse basket: something follows the basket's closing brace")
	}
	if err := b.Validate(); err != nil {
		return Basket{}, fmt.Errorf("parse basket: %v", err)
	}
	return b, nil
}

// Digest is "sha256:" and the hash of a wire form in hex, as receipts quote it.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Validate checks that b is a closed, numbered basket that may be sent.
func (b *Basket) Validate() error {
	switch {
	case b.V != Version:
		return fmt.Errorf("v is %d; this program knows %d", b.V, Version)
	case b.ID == ID{}:
		return errors.New("id is missing")
	case b.Revision < 1:
		return errors.New("revision must be 1 or more")
	case !isIncarnation(b.Incarnation):
		return errors.New("incarnation must be 16 lower-case hex digits")
	case b.Sequence < 1:
		return errors.New("sequence must be 1 or more")
	case b.OpenedAt.IsZero() || b.ClosedAt.IsZero():
		return errors.New("opened_at and closed_at must be given")
	case len(b.Lines) > MaxLines:
		return fmt.Errorf("%d lines; at most %d are taken", len(b.Lines), MaxLines)
	case len(b.Identities) > MaxIdentities:
		return fmt.Errorf("%d identities; at most %d are taken", len(b.Identities), MaxIdentities)
	}
	return errors.Join(b.validateHeader(), b.validateLines(), b.validateIdentities())
}

func (b *Basket) validateHeader() error {
	switch b.Kind {
	case Sale, Return, Exchange:
	default:
		return fmt.Errorf("kind %q is none of sale, return, exchange", b.Kind)
	}
	switch b.Outcome {
	case Closed, Voided, Abandoned:
	default:
		return fmt.Errorf("outcome %q is none of closed, voided, abandoned", b.Outcome)
	}
	return CheckHeader(b.Transaction, b.BusinessDate, b.Operator)
}

// CheckHeader checks what a POS program says of a transaction: its own number,
// the business date and the operator. Each may be empty.
func CheckHeader(transaction, businessDate, operator string) error {
	if !isText(transaction) || !isText(operator) {
		return fmt.Errorf("transaction and operator must be printable text of at most %d bytes", MaxText)
	}
	if HoldsCardNumber(operator) {
		return errors.New("operator holds what looks like a card number")
	}
	if _, err := time.Parse(time.DateOnly, businessDate); businessDate != "" && err != nil {
		return errors.New("business_date must be YYYY-MM-DD")
	}
	return nil
}

func (b *Basket) validateLines() error {
	for i, l := range b.Lines {
		if l.Number != i+1 {
			return fmt.Errorf("line %d stands where line %d is due", l.Number, i+1)
		}
		if err := errors.Join(l.validate(), l.validateMeasure()); err != nil {
			return fmt.Errorf("line %d: %v", l.Number, err)
		}
	}
	return nil
}

func (l Line) validate() error {
	switch {
	case l.Kind != Item && l.Kind != Coupon:
		return errors.New("kind is neither item nor coupon")
	case l.Quantity == 0:
		return errors.New("quantity is 0")
	case l.UPC == "" || len(l.UPC) > MaxText || len(l.Data) > MaxText:
		return fmt.Errorf("upc must be 1 to %d bytes, data at most that", MaxText)
	case l.GTIN != "" && !isDigits(l.GTIN, 14):
		return errors.New("gtin must be 14 digits")
	case !isText(l.Device) || !isText(l.Problem) || !isText(l.Error) || !isText(l.Symbology) || !isText(l.AddOn):
		return fmt.Errorf("a text is not printable or over %d bytes", MaxText)
	}
	return nil
}

// The most that a price or weight may be: AI 3929 has 15 digits, 9 of them
// decimals.
const (
	maxAmount   = 999_999_999_999_999
	maxDecimals = 9
)

// validateMeasure checks what a line says of how much of its item there is.
func (l Line) validateMeasure() error {
	switch {
	case l.Reference != "" && !isReference(l.Reference, l.GTIN):
		return errors.New("reference must be the gtin with zeros for some of its digits, and its own check digit")
	case l.Price != nil && (!isAmount(l.Price.Amount, l.Price.Decimals) || !isCurrency(l.Price.Currency)):
		return fmt.Errorf("price must be an amount of 0 to %d with 0 to %d decimals, and perhaps a currency of three capital letters", maxAmount, maxDecimals)
	case l.Weight != nil && (!isAmount(l.Weight.Amount, l.Weight.Decimals) || l.Weight.Unit != gs1.Kilogram && l.Weight.Unit != gs1.Pound):
		return fmt.Errorf("weight must be an amount of 0 to %d with 0 to %d decimals, in kg or lb", maxAmount, maxDecimals)
	}
	return nil
}

func isAmount(amount int64, decimals int) bool {
	return amount >= 0 && amount <= maxAmount && decimals >= 0 && decimals <= maxDecimals
}

func isCurrency(s string) bool {
	return s == "" || len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// isReference reports whether r is a good GTIN of 14 digits that is g with zeros
// for some of them.
func isReference(r, g string) bool {
	if parsed, err := gs1.ParseGTIN(r); err != nil || string(parsed) != r || !isDigits(g, 14) {
		return false
	}
	for i := range 13 {
		if r[i] != '0' && r[i] != g[i] {
			return false
		}
	}
	return true
}

func (b *Basket) validateIdentities() error {
	for i, id := range b.Identities {
		if id.Swipe < 1 || i > 0 && id.Swipe <= b.Identities[i-1].Swipe {
			return errors.New("identities must stand in the order of their swipe numbers, from 1")
		}
		if _, err := identity.ParseKind(string(id.Kind)); err != nil {
			return err
		}
		if err := checkIDs(id.State, id.HHID, id.DeIdentTID); err != nil {
			return fmt.Errorf("identity %d: %v", id.Swipe, err)
		}
	}
	return checkIDs(b.State, b.HHID, b.DeIdentTID)
}

func checkIDs(s identity.State, h identity.HHID, d identity.DeIdentTID) error {
	if !s.Valid() {
		return fmt.Errorf("state %q is unknown", s)
	}
	if resolved := s == identity.Resolved; resolved == h.IsZero() || resolved == (d == "") {
		return fmt.Errorf("state %q: hhid and deident_tid go with resolved, and with nothing else", s)
	}
	return nil
}

func isIncarnation(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == 8 && hex.EncodeToString(raw) == s
}

func isDigits(s string, n int) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) == n
}

func isText(s string) bool {
	if len(s) > MaxText || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
