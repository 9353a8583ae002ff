package identity

import "fmt"

// Kind says what sort of number identified the shopper.
type Kind string

// The kinds of a tender identification.
const (
	Payment Kind = "payment" // payment card number (ISO/IEC 7812 PAN)
	Loyalty Kind = "loyalty" // the retailer's own card or number
	Phone   Kind = "phone"   // telephone number, E.164
)

// ParseKind reads one of the three kinds.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(s); k {
	case Payment, Loyalty, Phone:
		return k, nil
	}
	return "", fmt.Errorf("parse kind: %q is none of payment, loyalty, phone", s)
}

// State says how far a basket, or one identity shown for it, has come on the
// way to a household.
type State string

// The states of an identity.
const (
	Anonymous  State = "anonymous"  // nobody showed a card or number
	Pending    State = "pending"    // central has not answered yet
	Resolved   State = "resolved"   // HHID and DeIdentTID are known
	Unresolved State = "unresolved" // refused, voided or expired: no answer will be taken any more
	OptedOut   State = "opted-out"  // central knows the person and returns no ids
)

// Valid reports whether s is one of the five states.
func (s State) Valid() bool {
	switch s {
	case Anonymous, Pending, Resolved, Unresolved, OptedOut:
		return true
	}
	return false
}

// Final reports whether no answer can change s any more.
func (s State) Final() bool { return s != Pending }
