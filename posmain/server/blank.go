package server

import (
	"encoding/json"
	"fmt"

	"posd/basket"
	"posd/identity"
)

// ids are those that a basket holds: HHIDs and DeIdentTIDs, as text.
func ids(b *basket.Basket) []string {
	var all []string
	for _, i := range append([]basket.Identity{{HHID: b.HHID, DeIdentTID: b.DeIdentTID}}, b.Identities...) {
		if !i.HHID.IsZero() {
			all = append(all, i.HHID.String())
		}
		if i.DeIdentTID != "" {
			all = append(all, string(i.DeIdentTID))
		}
	}
	return all
}

// blank makes every identity of a basket that holds an erased id one that opted out.
// If the one that counted is among them, the latest that is left counts. All else of
// the body stays, also fields that this program does not know, except those of such
// an identity.
func blank(body []byte, erased func(id string) bool) ([]byte, basket.Basket, error) {
	b, err := basket.Parse(body)
	if err != nil {
		return nil, b, fmt.Errorf("blank basket: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, b, fmt.Errorf("blank basket: %w", err)
	}
	var identities []json.RawMessage
	if err := json.Unmarshal(fields["identities"], &identities); err != nil && fields["identities"] != nil {
		return nil, b, fmt.Errorf("blank basket: %w", err)
	}
	gone := func(h identity.HHID, d identity.DeIdentTID) bool {
		return !h.IsZero() && erased(h.String()) || d != "" && erased(string(d))
	}
	for i := range b.Identities {
		one := &b.Identities[i]
		if !gone(one.HHID, one.DeIdentTID) {
			continue
		}
		one.State, one.HHID, one.DeIdentTID = identity.OptedOut, identity.HHID{}, ""
		if identities[i], err = json.Marshal(one); err != nil {
			return nil, b, err
		}
	}
	if gone(b.HHID, b.DeIdentTID) {
		b.Tag(nil)
	}
	for name, v := range map[string]any{"identities": identities, "state": b.State, "hhid": b.HHID, "deident_tid": b.DeIdentTID} {
		if fields[name], err = json.Marshal(v); err != nil {
			return nil, b, err
		}
	}
	if b.HHID.IsZero() {
		delete(fields, "hhid")
		delete(fields, "deident_tid")
	}
	body, err = json.Marshal(fields)
	return body, b, err
}
