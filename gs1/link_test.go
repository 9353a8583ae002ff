package gs1

import (
	"errors"
	"strings"
	"testing"
)

// goodLinks are, the first of them, the examples of the GS1 Digital Link
// Standard, and those of the tests of the GS1 Barcode Syntax Engine (dl.c).
var goodLinks = []struct{ uri, want string }{
	{"https://id.gs1.org/01/09520123456788", "01=09520123456788"},
	{"https://brand.example.com/01/9520123456788", "01=09520123456788"},
	{"https://brand.example.com/some-extra/pathinfo/01/9520123456788", "01=09520123456788"},
	{"https://id.gs1.org/01/09520123456788/22/2A", "01=09520123456788 22=2A"},
	{"https://id.gs1.org/01/09520123456788/10/ABC1/21/12345?17=180426", "01=09520123456788 10=ABC1 21=12345 17=180426"},
	{"https://id.gs1.org/01/09520123456788?3103=000195&3922=0299&17=201225", "01=09520123456788 3103=000195 3922=0299 17=201225"},
	{"https://id.gs1.org/00/952012345678912345?02=09520123456788&37=25&10=ABC123", "00=952012345678912345 02=09520123456788 37=25 10=ABC123"},
	{"https://id.gs1.org/414/9520123456788/254/32a%2Fb", "414=9520123456788 254=32a/b"},
	{"https://example.com/8004/9520614141234567", "8004=9520614141234567"},
	{"http://a/01/12312312312333/22/TEST/10/ABC/21/XYZ", "01=12312312312333 22=TEST 10=ABC 21=XYZ"},
	{"HTTP://a/01/12312312312333", "01=12312312312333"},
	{"HtTpS://a/01/12312312312333", "01=12312312312333"}, // schemes have no case (RFC 3986)
	{"https://xn--fsq.xn--0zwm56d/01/12312312312333", "01=12312312312333"},
	{"https://a:65535/01/12312312312333", "01=12312312312333"},
	{"https://[2001:db8::1]/01/12312312312333", "01=12312312312333"},
	{"https://a/00/faux/00/006141411234567890", "00=006141411234567890"},
	{"https://a/gtin/12312312312333/ser/ABC123", "01=12312312312333 21=ABC123"},
	{"https://a/sscc/006141411234567890", "00=006141411234567890"},
	{"https://a/01/416000336108", "01=00416000336108"},
	{"https://a/01/02345673", "01=00000002345673"},
	{"https://a/01/12312312312333/235/TEST", "01=12312312312333 235=TEST"},
	{"https://a/253/1231231231232TEST5678901234567", "253=1231231231232TEST5678901234567"},
	{"https://a/8018/123456789012345675/8019/123", "8018=123456789012345675 8019=123"},
	{"https://a/stem/00/006141411234567890?", "00=006141411234567890"},
	{"https://a/stem/401/12345678?99=ABC#frag/01/1", "401=12345678 99=ABC"},
	{"https://a/01/12312312312333?&&&99=ABC&singleton&unknown=4711&&98=XYZ&&", "01=12312312312333 99=ABC 98=XYZ"},
	{"https://a/01/12312312312333/22/ABC%2d123?99=ABC&98=XYZ%2f987", "01=12312312312333 22=ABC-123 99=ABC 98=XYZ/987"},
	{"https://a/01/12312312312333/22/ABC+123", "01=12312312312333 22=ABC+123"}, // + is itself in a path
	{"https://a/01/12312312312333/10/%41%4gB%", "01=12312312312333 10=A%4gB%"}, // badly encoded: as it stands
	{"https://id.gs1.org/01/09520123456788/235/XYZ?10=ABC123", "01=09520123456788 235=XYZ 10=ABC123"},
	{"https://a/255/9506000134352123", "255=9506000134352123"},
	{"https://a/01/12312312312333/10/01", "01=12312312312333 10=01"},
	{"https://a/8003/09506000134352A", "8003=09506000134352A"},
}

func TestParseLink(t *testing.T) {
	for _, c := range goodLinks {
		got, isLink, err := ParseLink(c.uri)
		if err != nil || !isLink || values(got) != c.want {
			t.Errorf("ParseLink(%q) = %s, %v, %v, want %s", c.uri, values(got), isLink, err, c.want)
		}
		for _, e := range got {
			if !strings.HasPrefix(aiOf(segmentAt(c.uri, e.At)), e.AI) || e.Title == "" {
				t.Errorf("%q: %+v does not stand there", c.uri, e)
			}
		}
	}
}

// segmentAt gives what of a URI begins at at.
func segmentAt(uri string, at int) string {
	s := uri[at:]
	return s[:strings.IndexAny(s+"/", "/=&?")]
}

// TestNoLinks: other URIs, and text, are none.
func TestNoLinks(t *testing.T) {
	for _, uri := range []string{
		"", "hello", "0109506000134352", "(01)09506000134352", "ftp://a/01/09506000134352", "https://", "https:///", "https://a", "https://a/", "https://a/b",
		"https:///01/09506000134352", "https://a?x=/01/09506000134352", "https://a#/01/09506000134352", "https://a/?01=09506000134352", "https://01/09506000134352",
		"https://blog.example/2024/01/some-post", "https://blog.example/2024/01/15", "https://blog.example/00/1", "https://a/01/", "https://a/01", "https://a/01/x",
		"https://a/10/ABC", "https://a/21/123456", "https://a/gtin/x", "https://a/GTIN/12312312312333", "https://a/8004/abcd", "https://a/party/2024",
		"https://shop.example/p/09506000134352", "https://shop.example/aBcDeFgHiJkL", "https://shop.example/abcdefghij", "https://a/8018/x",
		"https://pay.example/?pan=4111111111111111",
	} {
		if got, isLink, err := ParseLink(uri); isLink || err != nil || got != nil {
			t.Errorf("ParseLink(%q) = %s, %v, %v", uri, values(got), isLink, err)
		}
		if LinkRest(uri) != uri {
			t.Errorf("LinkRest(%q) = %q", uri, LinkRest(uri))
		}
	}
}

// TestBadLinks: a Digital Link that is wrong gives what it holds, and says where
// it is wrong.
func TestBadLinks(t *testing.T) {
	for uri, want := range map[string]struct{ err, elements string }{
		"https://a/01/09506000134353":                        {"AI (01), byte 26: the check digit is 3, and 2 was computed", "01=09506000134353"},
		"https://a/01/095060001343521":                       {"AI (01), byte 27: its data is too long", "01=095060001343521"},
		"https://a/01/0950600":                               {"AI (01), byte 20: its data is too short", "01=0950600"},
		"https://id.gs1.org/01/abc":                          {"AI (01), byte 25: its data is too short", "01=abc"},
		"https://id.gs1.org/01/abcdefghijklmn":               {"AI (01), byte 22: its data may only be digits", "01=abcdefghijklmn"},
		"https://a/01/09506000134352/":                       {"byte 28: its path goes on", "01=09506000134352"},
		"https://a/01/09506000134352/10":                     {"AI (10), byte 30: its path gives it no data", "01=09506000134352"},
		"https://a/01/09506000134352/10//21/1":               {"AI (10), byte 31: its path gives it no data", "01=09506000134352"},
		"https://a/01/09506000134352/89/1":                   {"byte 28: its path goes on", "01=09506000134352"},
		"https://a/01/09506000134352/BCgn8":                  {"byte 28: its path goes on", "01=09506000134352"},
		"https://a/01/09506000134352/21/1/10/A":              {"AI (10), byte 33: it must not stand there behind AI (01)", "01=09506000134352 21=1 10=A"},
		"https://a/01/09506000134352/10/A/235/B":             {"AI (235), byte 33: it must not stand there", "01=09506000134352 10=A 235=B"},
		"https://a/01/09506000134352/17/261231":              {"AI (17), byte 28: it must not stand there", "01=09506000134352 17=261231"},
		"https://a/253/1231231231232TEST56789012345678":      {"AI (253), byte 44: its data is too long", "253=1231231231232TEST56789012345678"},
		"https://a/01/09506000134352?99=":                    {"AI (99), byte 31: its parameter gives it no data", "01=09506000134352"},
		"https://a/01/09506000134352?99=A&999=faux":          {"AI (999), byte 33: GS1 has given out no such AI", "01=09506000134352 99=A"},
		"https://a/01/09506000134352?4111111111111111=1":     {"byte 28: no AI has so many digits as the name of this parameter", "01=09506000134352"},
		"https://a/01/09506000134352?10=ABC123":              {"AI (10), byte 28: it belongs in the path", "01=09506000134352 10=ABC123"},
		"https://a/01/09506000134352?21=1":                   {"AI (21), byte 28: it belongs in the path", "01=09506000134352 21=1"},
		"https://a/8004/9520614141234567?21=1":               {"AI (21), byte 32: it must not stand in the query", "8004=9520614141234567 21=1"},
		"https://a/01/09506000134352?99=A&01=09506000134352": {"AI (01), byte 33: it stands twice", "01=09506000134352 99=A 01=09506000134352"},
		"https://a/01/09506000134352?99=A&99=A":              {"AI (99), byte 33: it stands twice", "01=09506000134352 99=A 99=A"},
		"https://a/01/09506000134352?98=XYZ+987":             {"AI (98), byte 34: its data holds a character", "01=09506000134352 98=XYZ 987"},
		"https://a/01/09506000134352?17=261231&3103=0001x5":  {"AI (3103), byte 47: its data may only be digits", "01=09506000134352 17=261231 3103=0001x5"},
		"https://a/01/09506000134352?98=%00A":                {"AI (98), byte 31: its data holds a character", "01=09506000134352 98=\x00A"},
		"https://a/01/09506000134352/10/Ä":                   {"byte 31: a URI must not hold such a character", "01=09506000134352 10=Ä"},
		"https://a/01/09506000134352?3922=299":               {"AI (3922), byte 28: it needs another AI beside it", "01=09506000134352 3922=299"},
		"https://a/01/09506000134352?255=9506000134352":      {"AI (01), byte 10: it must not stand with AI (255)", "01=09506000134352 255=9506000134352"},
		"https://example.com/AQnYUc1gmiCNV4JGIA":             {"byte 19: a compressed GS1 Digital Link is not read", ""},
		"https://id.gs1.org/AwnYUc1gmiCNV4JGIA?x=1":          {"byte 18: a compressed GS1 Digital Link is not read", ""},
		"https://example.com/some/path/AQnYUc1gmiCNV4JGIA#f": {"byte 19: a compressed GS1 Digital Link is not read", ""},
	} {
		got, isLink, err := ParseLink(uri)
		if !isLink || err == nil || !strings.HasPrefix(err.Error(), want.err) || values(got) != want.elements {
			t.Errorf("ParseLink(%q) = %s, %v, %v", uri, values(got), isLink, err)
		}
		if errors.Is(err, ErrCompressed) != strings.Contains(want.err, "compressed GS1") {
			t.Errorf("%q: compressed or not: %v", uri, err)
		}
	}
	// The GTIN in it has a wrong check digit: it is a short link of somebody.
	if _, isLink, _ := ParseLink("https://example.com/AQnYUc1hmiCNV4JGIA"); isLink {
		t.Error("a short link is a Digital Link")
	}
}

func TestLinkRest(t *testing.T) {
	for uri, want := range map[string]string{
		"https://id.gs1.org/01/09520123456788/10/ABC1?17=180426":           "https://id.gs1.org/ ",
		"https://a/4111111111111111/01/09520123456788?17=180426&pan=1&b#c": "https://a/4111111111111111/ pan=1 b #c",
		"https://a/01/09520123456788#4111111111111111":                     "https://a/ #4111111111111111",
		"https://a/01/09520123456788?pan=4111111111111111":                 "https://a/ pan=4111111111111111 ",
	} {
		if got := LinkRest(uri); got != want {
			t.Errorf("LinkRest(%q) = %q, want %q", uri, got, want)
		}
	}
}

func FuzzLink(f *testing.F) {
	for _, c := range goodLinks {
		f.Add(c.uri)
	}
	for _, uri := range []string{"https://example.com/AQnYUc1gmiCNV4JGIA", "https://a/01/09506000134352/10//21/1", "https://a/01/09506000134352?99=A&01=9506000134352", "https://a?/01/09506000134352"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		elements, isLink, err := ParseLink(uri)
		rest := LinkRest(uri)
		var element *ElementError
		switch {
		case !isLink && (err != nil || elements != nil || rest != uri):
			t.Fatalf("%q is no link and gives %v, %v, %q", uri, elements, err, rest)
		case err != nil && (!errors.As(err, &element) || element.At < 0 || element.At > len(uri)):
			t.Fatalf("%q: %v", uri, err)
		case err != nil || !isLink:
			return
		}
		// The same elements, written as an element string, are good too.
		again, err := ParseElements(FormatElements(elements))
		if err != nil || !same(again, elements) {
			t.Fatalf("%q is %v, written %q, which is %v, %v", uri, elements, FormatElements(elements), again, err)
		}
		for _, e := range elements {
			if !strings.HasPrefix(aiOf(segmentAt(uri, e.At)), e.AI) {
				t.Fatalf("%q: %+v does not stand there", uri, e)
			}
		}
	})
}

func BenchmarkParseLink(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var buf [8]Element
		if elements, ok, err := AppendLink(buf[:0], "https://id.gs1.org/01/09506000134352/10/ABC/21/1?17=261231"); !ok || err != nil || CheckPairs(elements) != nil {
			b.Fatal(err)
		}
	}
}
