package scanner

import "posd/gs1"

// Measure says how much of an item there is: by the shop's patterns for goods of
// random weight, if the label is a UPC-A or EAN-13 that fits one, else by its
// GS1 elements (AI 310n, 320n, 392n, 393n). It is empty for most labels.
func (s Scan) Measure(patterns []gs1.Pattern) gs1.Measure {
	switch s.Symbology.withoutAddOn() {
	case UPCA, EAN13:
		for _, p := range patterns {
			if m, ok := p.Match(s.GTIN); ok {
				return m
			}
		}
	}
	var m gs1.Measure
	all := s.Elements()
	if p, ok := gs1.PriceOf(all); ok {
		m.Price = &p
	}
	if w, ok := gs1.WeightOf(all); ok {
		m.Weight = &w
	}
	return m
}
