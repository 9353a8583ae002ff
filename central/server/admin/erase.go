package admin

import (
	"context"
	"errors"
	"fmt"

	"posd/central/server/store"
	"posd/identity"
	"posd/tid"
)

// EraseRequest says what is to be erased: a card by its number, by its pseudonym, or a
// household with all its cards.
type EraseRequest struct {
	Tenant     string              `json:"tenant"`
	Kind       identity.Kind       `json:"kind,omitempty"`
	Digits     []byte              `json:"digits,omitempty"` // canonical; wiped once they are read
	DeIdentTID identity.DeIdentTID `json:"deident_tid,omitempty"`
	HHID       identity.HHID       `json:"hhid,omitzero"`
	Preview    bool                `json:"preview,omitempty"` // only say what would be done
}

// EraseAnswer is an erasure that was done, or would be.
type EraseAnswer struct {
	store.Erasure
	Warning string `json:"warning,omitempty"` // what is not quite done yet
}

func (c *Central) erase(ctx context.Context, r EraseRequest) (EraseAnswer, error) {
	defer clear(r.Digits)
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return EraseAnswer{}, err
	}
	what := store.Erasing{DeIdent: r.DeIdentTID, HHID: r.HHID}
	if len(r.Digits) > 0 {
		row, err := c.row(ctx, retailer.Name, r.Kind, r.Digits)
		if err != nil {
			return EraseAnswer{}, err
		}
		what = store.Erasing{TID: &row}
	}
	done, err := c.Store.Erase(ctx, c.act(ctx, "erase", nil), retailer, what, r.Preview, c.Erasures.Append)
	if err != nil {
		return EraseAnswer{}, notErased("erase", len(r.Digits) > 0, err)
	}
	answer := EraseAnswer{Erasure: done}
	if !r.Preview {
		c.changed()
		if err := c.Store.Scrub(ctx); err != nil {
			answer.Warning = err.Error()
		}
	}
	return answer, nil
}

// notErased says in plain words of a number that it is not known.
func notErased(what string, number bool, err error) error {
	if number && errors.Is(err, store.ErrNoTID) {
		return errors.New(what + ": no card is known by that number and kind; nothing was changed")
	}
	return fmt.Errorf("%s: %w; nothing was changed", what, err)
}

// row is a number as the store knows it.
func (c *Central) row(ctx context.Context, retailer string, kind identity.Kind, digits []byte) (store.TID, error) {
	k, err := tid.ParseKind(string(kind))
	if err != nil {
		return store.TID{}, misuse("kind must be payment, loyalty or phone")
	}
	secret, err := tid.FromCanonical(k, digits)
	if err != nil {
		return store.TID{}, misuse("%v", err)
	}
	defer secret.Wipe()
	d, err := c.Directory(ctx)
	if err != nil {
		return store.TID{}, err
	}
	return d.Row(retailer, secret, nil)
}

// LiftRequest takes the erasure of a card back, by its number.
type LiftRequest struct {
	Tenant string        `json:"tenant"`
	Kind   identity.Kind `json:"kind"`
	Digits []byte        `json:"digits"` // canonical; wiped once they are read
}

// lift answers with the household.
func (c *Central) lift(ctx context.Context, r LiftRequest) (identity.HHID, error) {
	defer clear(r.Digits)
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return identity.HHID{}, err
	}
	row, err := c.row(ctx, retailer.Name, r.Kind, r.Digits)
	if err != nil {
		return identity.HHID{}, err
	}
	e, err := c.Store.Lift(ctx, c.act(ctx, "erase lift", nil), retailer, row, c.Erasures.Append)
	if err != nil {
		return identity.HHID{}, notErased("lift", true, err)
	}
	c.changed()
	return e.HHID, nil
}

// CertificateRequest asks for the certificate of an erasure.
type CertificateRequest struct {
	Tenant string `json:"tenant"`
	Number uint64 `json:"number"`
}

func (c *Central) erasureCertificate(ctx context.Context, r CertificateRequest) (store.ErasureCertificate, error) {
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return store.ErasureCertificate{}, err
	}
	return c.Store.ErasureCertificate(ctx, retailer.ID, r.Number)
}
