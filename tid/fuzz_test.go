package tid

import (
	"testing"
)

// FuzzConstructors: no input makes a constructor panic, keep its argument or
// name a digit, and every TID comes back from its canonical form.
func FuzzConstructors(f *testing.F) {
	for _, pan := range testPANs {
		f.Add("US", "0001", []byte(pan))
	}
	for _, s := range []string{"", "0", "2025550123", "0112902123", "00391", "8", "06", "\x00\xff", "41111111111111111111111111111111111"} {
		f.Add("IT", "0001", []byte(s))
		f.Add("HU", "12", []byte(s))
		f.Add("RU", "", []byte(s))
	}
	f.Fuzz(func(t *testing.T, country, issuer string, number []byte) {
		rules := Rules{Payment: true, Country: country, Issuer: issuer, Loyalty: patterns("29[0-9]+")}
		for _, make := range []func([]byte) (TID, error){
			NewPayment,
			func(b []byte) (TID, error) { return NewLoyalty(issuer, b) },
			func(b []byte) (TID, error) { return NewPhone(country, b) },
			func(b []byte) (TID, error) { return FromCanonical(Payment, b) },
			func(b []byte) (TID, error) { return FromCanonical(Loyalty, b) },
			func(b []byte) (TID, error) { return FromCanonical(Phone, b) },
			rules.FromCard, rules.FromKeypad, rules.FromLabel,
		} {
			id, err := consumed(t, string(number), make)
			if err != nil {
				continue
			}
			canonical := digitsOf(id)
			back, err := FromCanonical(id.Kind(), []byte(canonical))
			if err != nil || digitsOf(back) != canonical || back.Last4() != id.Last4() {
				t.Errorf("%s of %d digits did not come back: %v", id.Kind(), len(canonical), err)
			}
		}
	})
}
