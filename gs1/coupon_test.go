package gs1

import (
	"errors"
	"testing"
)

// The first two are examples of databar-barcode.info, the third of the North
// American Coupon Application Guideline, the last has every field.
func TestParseCoupon(t *testing.T) {
	pieces := func(n, family string) Purchase { return Purchase{Requirement: n, Code: "0", Family: family} }
	for data, want := range map[string]Coupon{
		"1061414165432132501101203140131": {Company: "0614141", Offer: "654321", SaveValue: "250", Purchases: [3]Purchase{pieces("1", "120")}, Expires: "140131"},
		"106141411234562751106501013085093140131": {
			Company: "0614141", Offer: "123456", SaveValue: "75", Purchases: [3]Purchase{pieces("1", "650"), pieces("3", "850")}, Rules: "0", Expires: "140131",
		},
		"106141416543213500110000310123196000": {
			Company: "0614141", Offer: "654321", SaveValue: "500", Purchases: [3]Purchase{pieces("1", "000")}, Expires: "101231", SaveCode: "6", AppliesTo: "0", Store: "0", NoDouble: "0",
		},
		"012345612345621211" + "1012" + "1" + "1" + "3133" + "0234" + "0065432" + "2" + "554321" + "9456" + "9" + "3250131" + "4250101" + "50123456" + "611234567" + "95111": {
			Company: "123456", Offer: "123456", SaveValue: "12", Rules: "1",
			Purchases: [3]Purchase{{"1", "1", "012", ""}, {"133", "0", "234", "065432"}, {"54321", "9", "456", ""}},
			Expires:   "250131", Starts: "250101", Serial: "123456", Retailer: "1234567", SaveCode: "5", AppliesTo: "1", Store: "1", NoDouble: "1",
		},
	} {
		if got, err := ParseCoupon(data); err != nil || got != want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", data, got, err, want)
		}
	}
	var bad *ElementError
	if _, err := ParseCoupon("0123"); !errors.As(err, &bad) || bad.AI != "8110" || bad.At != 4 {
		t.Errorf("a coupon that ends too soon: %v", err)
	}
}

func TestParseOffer(t *testing.T) {
	want := Offer{Format: "1", Funder: "0614141", Offer: "654321", Serial: "1234567"}
	if got, err := ParseOffer("1106141416543211" + "1234567"); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := ParseOffer("2"); err == nil {
		t.Error("a format that there is not")
	}
}

func FuzzCoupon(f *testing.F) {
	f.Add("106141416543213500110000310123196000")
	f.Add("012345612345611110123101101230123456")
	f.Add("001234561234560123456")
	f.Fuzz(func(t *testing.T, data string) {
		c, err := ParseCoupon(data)
		if err == nil && (len(c.Company) < 6 || len(c.Offer) != 6 || c.SaveValue == "" || c.Purchases[0].Family == "") {
			t.Fatalf("%q: %+v", data, c)
		}
		o, err := ParseOffer(data)
		if err == nil && data != o.Format+string(anyDigit[len(o.Funder)-6])+o.Funder+o.Offer+string(anyDigit[len(o.Serial)-6])+o.Serial {
			t.Fatalf("%q: %+v", data, o)
		}
	})
}
