package lane

import (
	"slices"
	"strings"
	"time"

	"posd/basket"
	"posd/gs1"
	"posd/scanner"
	"posd/tid"
)

// route is what a label is to this lane: a line of some kind, a person's
// number, the label that closes the basket, or nothing that may be kept.
type route struct {
	kind  basket.LineKind
	tid   tid.TID
	close bool
	err   *RefusedError
}

// aiGSRN is the application identifier of a service relation: the number of a
// person as the retailer's customer (GS1 General Specifications, AI 8018).
const aiGSRN = "8018"

// route decides where a label goes. What could be the number of a person never
// becomes a line: it is a TID by the shop's rules, or it is refused.
func (l *Lane) route(s scanner.Scan) route {
	switch {
	case s.Label == "":
		return route{err: refused("unreadable", "the label could not be read: "+reason(s))}
	case len(s.Label) > basket.MaxText || len(s.Data) > basket.MaxText:
		return route{err: refused("too-long", "the label is too long to be kept")}
	case slices.Contains(l.cfg.CloseLabels, s.Label):
		return route{close: true}
	}
	if number, ok := l.personal(s); ok {
		id, err := l.cfg.Rules.FromLabel([]byte(number))
		if err != nil {
			return route{err: refused("personal", "this label may be a person's number, and is not one that this shop reads: "+err.Error())}
		}
		return route{tid: id}
	}
	if s.Kind == scanner.Coupon {
		return route{kind: basket.Coupon}
	}
	return route{kind: basket.Item}
}

func reason(s scanner.Scan) string {
	if s.Problem == nil {
		return "it is empty"
	}
	return s.Problem.Reason
}

// personal gives the digits of a label that may be a person's number.
func (l *Lane) personal(s scanner.Scan) (digits string, ok bool) {
	person := false
	for _, e := range s.Elements() {
		if e.AI == aiGSRN && gs1.VerifyCheckDigit(e.Value) == nil && l.cfg.Rules.IsLoyalty([]byte(e.Value)) {
			return e.Value, true
		}
		person = person || gs1.Personal(e.AI)
	}
	if person {
		return "", true // of another programme, read wrong, or a person's otherwise: it must not pass for a card's number
	}
	digits = strings.NewReplacer(" ", "", "-", "").Replace(s.Label)
	return digits, l.cfg.Rules.IsLoyalty([]byte(digits)) || newLine(0, time.Time{}, "", s, basket.Item).PersonNumber()
}
