package journal

import (
	"encoding/json"
	"fmt"

	"posd/basket"
	"posd/gs1"
)

// label is what few lines have, and so stands in one column.
type label struct {
	Error     string      `json:"error,omitempty"`
	Reference string      `json:"reference,omitempty"`
	Price     *gs1.Price  `json:"price,omitempty"`
	Weight    *gs1.Weight `json:"weight,omitempty"`
}

// packLabel gives the column of a line; "" where there is nothing to keep.
func packLabel(l basket.Line) (string, error) {
	packed := label{l.Error, l.Reference, l.Price, l.Weight}
	if packed == (label{}) {
		return "", nil
	}
	text, err := json.Marshal(packed)
	return string(text), err
}

func unpackLabel(l *basket.Line, column string) error {
	if column == "" {
		return nil
	}
	var packed label
	if err := json.Unmarshal([]byte(column), &packed); err != nil {
		return fmt.Errorf("read what line %d says: %w", l.Number, err)
	}
	l.Error, l.Reference, l.Price, l.Weight = packed.Error, packed.Reference, packed.Price, packed.Weight
	return nil
}
