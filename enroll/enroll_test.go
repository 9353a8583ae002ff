package enroll

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func identityDir(t *testing.T) string { return filepath.Join(t.TempDir(), "state", "identity") }

func TestEnroll(t *testing.T) {
	for _, n := range []Name{lane7, shop12} {
		c := startCentral(t)
		dir := identityDir(t)
		tok := must(ParseToken(c.token(n).Reveal()))
		got, err := Enroll(t.Context(), c.url, tok, n.Role, dir)
		if err != nil || got != n {
			t.Fatalf("Enroll gives %v, %v", got, err)
		}
		s, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		own := s.Current()
		if own.Name != n || own.OperationsURL != c.url || own.LookupURL != "https://lookup.example:8443" || !own.ManifestKey.Equal(c.manifestKey) {
			t.Errorf("credentials are %+v", own)
		}
		// They work at once, and renew.
		if err := NewRenewer(s, nil).Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.Current().Certificate.Leaf.Equal(own.Certificate.Leaf) || s.Current().LookupURL != "https://new.example:1" || s.Current().OperationsURL != c.url {
			t.Errorf("after the renewal: %+v", s.Current())
		}
		reloaded, err := Load(dir)
		if err != nil || !reloaded.Current().Certificate.Leaf.Equal(s.Current().Certificate.Leaf) || reloaded.Current().LookupURL != "https://new.example:1" {
			t.Errorf("what is on disk is not what is used: %v", err)
		}
	}
}

func TestEnrollRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		token func(c *testCentral) Token
		role  Role
		want  string
		kind  string // problem type
	}{
		"expired": {func(c *testCentral) Token {
			tok := c.token(lane7)
			c.tokens[tok.Hash()].expires = time.Now().Add(-time.Minute)
			return tok
		}, Lane, "token has expired", ProblemTokenExpired},
		"used by another": {func(c *testCentral) Token {
			tok := c.token(lane7)
			c.tokens[tok.Hash()].usedBy = [32]byte{1}
			return tok
		}, Lane, "used before", ProblemTokenUsed},
		"tampered secret": {func(c *testCentral) Token {
			tok := c.token(lane7)
			return makeToken([16]byte{1}, tok.ca, tok.manifestKey)
		}, Lane, "does not know this token", ProblemTokenUnknown},
		"tampered CA": {func(c *testCentral) Token {
			tok := c.token(lane7)
			return makeToken(tok.secret(), [32]byte{1}, tok.manifestKey)
		}, Lane, "certificate comes from another CA than the one this token was made for", ""},
		"tampered manifest key": {func(c *testCentral) Token {
			tok := c.token(lane7)
			return makeToken(tok.secret(), tok.ca, [32]byte{1})
		}, Lane, "manifest key is not the one", ""},
		"another central's": {func(c *testCentral) Token { return newCentral(t).token(lane7) }, Lane, "check the address", ""},
		"for a shop":        {func(c *testCentral) Token { return c.token(shop12) }, Lane, "posmaind one for a shop", ProblemWrongRole},
		"for a lane":        {func(c *testCentral) Token { return c.token(lane7) }, POSMain, "another kind of program", ProblemWrongRole},
		"none":              {func(*testCentral) Token { return Token{} }, Lane, "no token", ""},
	} {
		t.Run(name, func(t *testing.T) {
			central := startCentral(t)
			dir := identityDir(t)
			tok := c.token(central)
			_, err := Enroll(t.Context(), central.url, tok, c.role, dir)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q in it", err, c.want)
			}
			if c.kind != "" && !IsProblem(err, c.kind) {
				t.Errorf("error is %v, want problem %s", err, c.kind)
			}
			if text := tok.Reveal(); text != "" && strings.Contains(err.Error(), text[10:30]) {
				t.Error("the error shows the token")
			}
			if _, err := Load(dir); !errors.Is(err, ErrNotEnrolled) {
				t.Errorf("after a refusal: %v", err)
			}
			if c.kind == "" && strings.Contains(c.want, "CA") && central.count() != 0 {
				t.Error("the secret went to a server that the token does not pin")
			}
		})
	}
}

// The POS main computer of another shop has a good server certificate, but must
// not get to see a lane's token.
func TestFirstContactIsWithCentralOnly(t *testing.T) {
	c := newCentral(t)
	c.creds = issue(t, c.ca, Leaf{Name: shop12})
	url := serve(t, OperationsConfig(c.creds, Name{Role: Lane}), c)
	_, err := Enroll(t.Context(), url, c.token(lane7), Lane, identityDir(t))
	if !errors.Is(err, ErrWrongName) || c.count() != 0 {
		t.Errorf("error is %v after %d requests", err, c.count())
	}
}

// A token that was refused for its role is unused still.
func TestWrongRoleLeavesTheTokenUnused(t *testing.T) {
	c := startCentral(t)
	tok := c.token(shop12)
	if _, err := Enroll(t.Context(), c.url, tok, Lane, identityDir(t)); !IsProblem(err, ProblemWrongRole) {
		t.Fatal(err)
	}
	if _, err := Enroll(t.Context(), c.url, tok, POSMain, identityDir(t)); err != nil {
		t.Error(err)
	}
}

// Central signed and the answer was lost: the same machine gets it again,
// another does not.
func TestEnrollAfterALostAnswer(t *testing.T) {
	c := startCentral(t)
	tok, dir := c.token(lane7), identityDir(t)
	c.set(func(c *testCentral) { c.lose = 1 })
	if _, err := Enroll(t.Context(), c.url, tok, Lane, dir); err == nil {
		t.Fatal("no error for a lost answer")
	}
	if _, err := Enroll(t.Context(), c.url, tok, Lane, identityDir(t)); !IsProblem(err, ProblemTokenUsed) {
		t.Errorf("another machine: %v", err)
	}
	if _, err := Enroll(t.Context(), c.url, tok, Lane, dir); err != nil {
		t.Errorf("the same machine: %v", err)
	}
}

func TestEnrollWithAWrongClock(t *testing.T) {
	for ahead, want := range map[time.Duration]string{
		24 * time.Hour:    "clock of this machine is wrong: it is 24 h 0 min behind central's",
		-24 * time.Hour:   "clock of this machine is wrong: it is 24 h 0 min ahead of central's",
		11 * time.Minute:  "behind",
		-11 * time.Minute: "ahead",
		9 * time.Minute:   "",
		-9 * time.Minute:  "",
	} {
		c := startCentral(t)
		c.ahead = ahead + 30*time.Second*time.Duration(sign(ahead))
		tok, dir := c.token(lane7), identityDir(t)
		_, err := Enroll(t.Context(), c.url, tok, Lane, dir)
		if want == "" && err != nil || want != "" && (!errors.Is(err, ErrClock) || !strings.Contains(err.Error(), want)) {
			t.Errorf("central is %v ahead: %v, want %q", ahead, err, want)
		}
		if want == "" {
			continue
		}
		// The clock was set: the same token still does.
		c.set(func(c *testCentral) { c.ahead = 0; clear(c.answers) })
		if _, err := Enroll(t.Context(), c.url, tok, Lane, dir); err != nil {
			t.Errorf("after the clock was set: %v", err)
		}
	}
}

func sign(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return 1
}

// With a clock that is far behind, TLS itself fails: the error still says why.
func TestEnrollBeforeCentralsCertificate(t *testing.T) {
	for name, l := range map[string]Leaf{
		"behind": {Name: centralName, NotBefore: time.Now().Add(24 * time.Hour)},
		"ahead":  {Name: centralName, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)},
	} {
		c := newCentral(t)
		c.creds = issue(t, c.ca, l)
		url := serve(t, OperationsConfig(c.creds, Name{Role: Lane}), c)
		_, err := Enroll(t.Context(), url, c.token(lane7), Lane, identityDir(t))
		if err == nil || !strings.Contains(err.Error(), "is the clock wrong?") {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

// A problem may have its cause in the clock.
func TestRefusalAlsoNamesTheClock(t *testing.T) {
	c := startCentral(t)
	c.ahead = -72 * time.Hour
	tok := c.token(lane7)
	c.tokens[tok.Hash()].expires = time.Now().Add(-time.Minute)
	_, err := Enroll(t.Context(), c.url, tok, Lane, identityDir(t))
	if !IsProblem(err, ProblemTokenExpired) || !errors.Is(err, ErrClock) || !strings.Contains(err.Error(), "3 days ahead of central's") {
		t.Errorf("error is %v", err)
	}
}

func TestSpoiltAnswersAreRefused(t *testing.T) {
	other, _ := testCA(t, "other")
	otherKey, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*EnrollResponse)
		want  string
	}{
		"another CA":           {func(r *EnrollResponse) { r.CA = other.cert.Raw }, "another CA"},
		"no CA":                {func(r *EnrollResponse) { r.CA = nil }, "another CA"},
		"another manifest key": {func(r *EnrollResponse) { r.ManifestKey = otherKey }, "manifest key"},
		"no certificate":       {func(r *EnrollResponse) { r.Certificate = nil }, "X.509"},
		"another's certificate": {func(r *EnrollResponse) {
			r.Certificate = issue(t, other, Leaf{Name: lane7}).Certificate.Leaf.Raw
		}, "another key"},
		"no lookup address": {func(r *EnrollResponse) { r.LookupURL = "" }, "bad address"},
		"plain HTTP":        {func(r *EnrollResponse) { r.OperationsURL = "http://x" }, "bad address"},
	} {
		central := startCentral(t)
		central.spoil = c.spoil
		dir := identityDir(t)
		_, err := Enroll(t.Context(), central.url, central.token(lane7), Lane, dir)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q in it", name, err, c.want)
		}
		if _, err := Load(dir); !errors.Is(err, ErrNotEnrolled) {
			t.Errorf("%s: afterwards: %v", name, err)
		}
	}
}

// A central that gives a lane's machine a shop's certificate is refused too.
func TestAnswerOfAnotherRoleIsRefused(t *testing.T) {
	c := startCentral(t)
	c.leaf = func(_ Name, l *Leaf) { l.Name = shop12 }
	if _, err := Enroll(t.Context(), c.url, c.token(lane7), Lane, identityDir(t)); !errors.Is(err, ErrWrongName) {
		t.Errorf("error is %v", err)
	}
}

func TestOddServers(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   string
	}{
		"redirect": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, "307"},
		"web page":    {func(w http.ResponseWriter) { w.Write([]byte("<html>welcome")) }, "not what a central sends"},
		"no content":  {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }, "204"},
		"proxy error": {func(w http.ResponseWriter) { http.Error(w, "bad gateway", http.StatusBadGateway) }, "502 Bad Gateway"},
		"endless":     {func(w http.ResponseWriter) { w.Write(append(bytes.Repeat([]byte(" "), 2*maxAnswer), "{}"...)) }, "not what a central sends"},
		"empty":       {func(w http.ResponseWriter) {}, "not what a central sends"},
	} {
		central := startCentral(t)
		central.spoilRaw = func(w http.ResponseWriter) bool { c.answer(w); return true }
		_, err := Enroll(t.Context(), central.url, central.token(lane7), Lane, identityDir(t))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q in it", name, err, c.want)
		}
	}
}

func TestEnrollBadArguments(t *testing.T) {
	tok := NewToken([]byte("a"), []byte("b"))
	for _, url := range []string{"", "central.example", "http://central.example", "https://", "ftp://x", "::"} {
		if _, err := Enroll(t.Context(), url, tok, Lane, t.TempDir()); err == nil || !strings.Contains(err.Error(), "https://HOST:PORT") {
			t.Errorf("%q: error is %v", url, err)
		}
	}
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Enroll(t.Context(), "https://127.0.0.1:1", tok, Lane, open); err == nil || !strings.Contains(err.Error(), "chmod 700 "+open) {
		t.Errorf("an open directory: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Enroll(ctx, "https://127.0.0.1:1", tok, Lane, identityDir(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestEnrollAgain(t *testing.T) {
	c := startCentral(t)
	dir := identityDir(t)
	if _, err := Enroll(t.Context(), c.url, c.token(lane7), Lane, dir); err != nil {
		t.Fatal(err)
	}
	before := must(Load(dir)).Current()
	lane8 := lane7
	lane8.Lane = "lane-8"
	_, err := Enroll(t.Context(), c.url, c.token(lane8), Lane, dir)
	if err == nil || !strings.Contains(err.Error(), "move "+dir+" away") || !strings.Contains(err.Error(), lane8.String()) {
		t.Errorf("as another lane: %v", err)
	}
	if after := must(Load(dir)).Current(); !after.Certificate.Leaf.Equal(before.Certificate.Leaf) {
		t.Error("the refusal changed the credentials")
	}
	c.set(func(c *testCentral) { clear(c.answers) })
	if _, err := Enroll(t.Context(), c.url, c.token(lane7), Lane, dir); err != nil {
		t.Fatalf("as the same lane: %v", err)
	}
	if after := must(Load(dir)).Current(); after.Name != lane7 || after.Certificate.Leaf.Equal(before.Certificate.Leaf) {
		t.Error("the new credentials are not there")
	}
}
