package main

import (
	"fmt"
	"strconv"
	"time"

	"posd/basket"
	"posd/posmain/server"
)

// minute and second give a time in the local zone, as a person reads it.
func minute(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }
func second(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// items sums up the lines of a basket that were not voided, in the order in
// which each item was first read. A basket of nothing has one item that says so.
func items(b basket.Basket) (quantities, names []string) {
	sums, order := map[string]int{}, []string{}
	for _, l := range b.Lines {
		if l.VoidedAt != nil {
			continue
		}
		name := l.GTIN
		if name == "" {
			name = l.UPC
		}
		if l.Kind == basket.Coupon {
			name += " (coupon)"
		}
		if _, known := sums[name]; !known {
			order = append(order, name)
		}
		sums[name] += l.Quantity
	}
	for _, name := range order {
		if sums[name] != 0 {
			quantities, names = append(quantities, strconv.Itoa(sums[name])), append(names, name)
		}
	}
	if len(names) == 0 {
		return []string{""}, []string{"nothing"}
	}
	return quantities, names
}

// pseudonyms are those of every card and number shown, the one that counts
// first.
func pseudonyms(b basket.Basket) []string {
	all := []string{orDash(string(b.DeIdentTID))}
	for _, id := range b.Identities {
		switch {
		case id.DeIdentTID == b.DeIdentTID && id.DeIdentTID != "":
			all[0] = string(id.DeIdentTID) + " (" + string(id.Kind) + ")"
		case id.DeIdentTID != "":
			all = append(all, string(id.DeIdentTID)+" ("+string(id.Kind)+")")
		}
	}
	return all
}

// describe says what kind of transaction it was: "sale", "return, voided".
func describe(b basket.Basket) string {
	text := string(b.Kind)
	if b.Outcome != basket.Closed {
		text += ", " + string(b.Outcome)
	}
	return text
}

// owner says whose a basket is: a household, or why none is known.
func owner(t server.Tag) string {
	if t.HHID.IsZero() {
		return string(t.State)
	}
	return t.HHID.String()
}

// ranges writes sequence numbers that are missing: "3-4, 7 (3 in all)".
func ranges(missing []server.Range, count uint64) string {
	const shown = 5
	text := ""
	for i, r := range missing[:min(len(missing), shown)] {
		if i > 0 {
			text += ", "
		}
		text += strconv.FormatUint(r.From, 10)
		if r.To > r.From {
			text += "-" + strconv.FormatUint(r.To, 10)
		}
	}
	if len(missing) > shown {
		text += ", ..."
	}
	return fmt.Sprintf("%s (%d in all)", text, count)
}
