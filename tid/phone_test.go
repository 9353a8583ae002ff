package tid

import (
	"strings"
	"testing"
)

// Numbers are those set aside for drama and examples where a country has some
// (NANP 555-01xx, Ofcom, ACMA, ARCEP), else numbers of public bodies' switchboards
// and made-up ones.
func TestPhone(t *testing.T) {
	for _, c := range []struct{ country, keyed, want string }{
		// North America: ten digits, the trunk prefix 1, from abroad by 011
		{"US", "2025550123", "12025550123"},
		{"US", "12025550123", "12025550123"},
		{"US", "01112025550123", "12025550123"},
		{"CA", "2025550123", "12025550123"},
		{"US", "5551234567", "15551234567"},
		{"US", "1025550123", ""}, // an area code begins with 2 to 9
		{"US", "0025550123", ""},
		{"US", "202555012", ""},
		{"US", "22025550123", ""},
		{"US", "01111025550123", ""},
		{"US", "01144" + "2079460123", "442079460123"},
		{"US", "011440" + "2079460123", ""}, // the trunk prefix is not dialled from abroad
		{"US", "4111111111111111", ""},      // a card is no telephone
		{"US", "378282246310005", ""},
		{"US", "", ""},
		{"US", "011", ""},
		{"US", "0112902123", "2902123"}, // Saint Helena, in no plan of ours
		{"US", "011290212", ""},
		{"US", "0119991234567890123", ""},
		{"US", "0110491234567", ""},
		{"US", "202-555-0123", ""},
		{"US", "+12025550123", ""},
		// Europe
		{"GB", "02079460123", "442079460123"},
		{"GB", "2079460123", "442079460123"},
		{"GB", "00442079460123", "442079460123"},
		{"GB", "442079460123", "442079460123"},
		{"GB", "07700900123", "447700900123"},
		{"GB", "0011112025550123", ""},
		{"GB", "0012025550123", "12025550123"},
		{"DE", "030123456", "4930123456"},
		{"DE", "30123456", "4930123456"},
		{"DE", "004930123456", "4930123456"},
		{"DE", "015112345678", "4915112345678"},
		{"FR", "0199001234", "33199001234"},
		{"FR", "33199001234", "33199001234"},
		{"FR", "0033199001234", "33199001234"},
		{"FR", "019900123", ""},
		{"IT", "0612345678", "390612345678"}, // the zero stays
		{"IT", "00390612345678", "390612345678"},
		{"IT", "3123456789", "393123456789"},
		{"ES", "912345678", "34912345678"},
		{"ES", "0912345678", ""},
		{"DK", "32123456", "4532123456"},
		{"HU", "0612345678", "3612345678"},
		{"HU", "12345678", "3612345678"},
		{"HU", "06201234567", "36201234567"},
		{"LT", "861234567", "37061234567"},
		{"LT", "061234567", "37061234567"},
		{"LT", "61234567", "37061234567"},
		{"LT", "80012345", "37080012345"},
		{"RU", "89161234567", "79161234567"},
		{"RU", "9161234567", "79161234567"},
		{"RU", "79161234567", "79161234567"},
		{"RU", "8001234567", "78001234567"},
		{"RU", "81012025550123", "12025550123"},
		{"BY", "80291234567", "375291234567"},
		{"BY", "291234567", "375291234567"},
		{"FI", "0401234567", "358401234567"},
		{"FI", "99012025550123", "12025550123"},
		// elsewhere
		{"AU", "0491570156", "61491570156"},
		{"AU", "001112025550123", "12025550123"},
		{"JP", "09012345678", "819012345678"},
		{"JP", "01012025550123", "12025550123"},
		{"KR", "01012345678", "821012345678"},
		{"KR", "00112025550123", "12025550123"},
		{"HK", "21234567", "85221234567"},
		{"HK", "00112025550123", "12025550123"},
		{"IN", "09812345678", "919812345678"},
		{"IN", "9812345678", "919812345678"},
		{"BR", "011912345678", "5511912345678"},
		{"MX", "5512345678", "525512345678"},
		{"ZA", "0821234567", "27821234567"},
		{"NG", "00912025550123", "12025550123"},
		{"NG", "08021234567", "2348021234567"},
		// no country
		{"", "2025550123", ""},
		{"us", "2025550123", ""},
		{"XX", "2025550123", ""},
		{"USA", "2025550123", ""},
	} {
		id, err := consumed(t, c.keyed, func(b []byte) (TID, error) { return NewPhone(c.country, b) })
		if (err == nil) != (c.want != "") || digitsOf(id) != c.want {
			t.Errorf("%s %s: %q, error %v; want %q", c.country, c.keyed, digitsOf(id), err, c.want)
		}
		if err == nil && id.Kind() != Phone {
			t.Errorf("%s %s: kind %s", c.country, c.keyed, id.Kind())
		}
	}
}

func TestPlansAreSane(t *testing.T) {
	if len(plans) < 40 {
		t.Errorf("only %d countries", len(plans))
	}
	for country, p := range plans {
		if len(country) != 2 || country != strings.ToUpper(country) || !KnowsCountry(country) {
			t.Errorf("country %q", country)
		}
		if p.calling == "" || p.calling[0] == '0' || len(p.calling) > 3 || len(p.exit) == 0 || p.min > p.max {
			t.Errorf("%s: %+v", country, p)
		}
		if len(p.calling)+p.min < minE164 || len(p.calling)+p.max > maxE164 {
			t.Errorf("%s: numbers of %d to %d digits", country, len(p.calling)+p.min, len(p.calling)+p.max)
		}
		for _, prefix := range p.trunk {
			if prefix[0] != '0' && p.min != p.max {
				t.Errorf("%s: trunk prefix %s could be the beginning of a number", country, prefix)
			}
		}
		for i, prefix := range p.exit {
			for j, other := range p.exit {
				if i != j && strings.HasPrefix(other, prefix) {
					t.Errorf("%s: exit prefix %s begins with %s", country, other, prefix)
				}
			}
		}
		// Calling codes are prefix-free, or a number would have two countries.
		for other, q := range plans {
			if q.calling != p.calling && strings.HasPrefix(q.calling, p.calling) {
				t.Errorf("calling code of %s begins with that of %s", other, country)
			}
		}
	}
	for _, country := range []string{"", "us", "ZZ"} {
		if KnowsCountry(country) {
			t.Errorf("knows %q", country)
		}
	}
}

// However a number is keyed in, at home or abroad, it is one TID.
func TestOneNumberOneTID(t *testing.T) {
	for country, p := range plans {
		for n := p.min; n <= p.max; n++ {
			national := "5" + strings.Repeat("37", 8)[:n-1]
			want := p.calling + national
			for name, keyed := range map[string]string{
				"national": national, "calling code": p.calling + national,
				"exit prefix": p.exit[0] + want, "last exit prefix": p.exit[len(p.exit)-1] + want,
			} {
				if name == "calling code" && len(keyed) <= p.max {
					continue // could be a longer national number
				}
				id, err := NewPhone(country, []byte(keyed))
				if err != nil || digitsOf(id) != want {
					t.Errorf("%s, %s of %d digits: %q, error %v; want %q", country, name, n, digitsOf(id), err, want)
				}
			}
			for _, trunk := range p.trunk {
				id, err := NewPhone(country, []byte(trunk+national))
				if err != nil || digitsOf(id) != want {
					t.Errorf("%s, trunk prefix and %d digits: %q, error %v; want %q", country, n, digitsOf(id), err, want)
				}
			}
			if back, err := FromCanonical(Phone, []byte(want)); err != nil || digitsOf(back) != want {
				t.Errorf("%s: canonical %q did not come back: %v", country, want, err)
			}
		}
	}
}
