package enroll

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
	"testing"
)

var discardLog = log.New(io.Discard, "", 0)

func TestTokenComesBack(t *testing.T) {
	ca, key := []byte("a CA certificate"), []byte("a manifest key")
	tok := NewToken(ca, key)
	text := tok.Reveal()
	if len(text) != 117 || !strings.HasPrefix(text, "hhe1.") {
		t.Errorf("text has %d characters and begins %q", len(text), text[:5])
	}
	for _, s := range []string{text, " " + text + "\r\n"} {
		got, err := ParseToken(s)
		if err != nil {
			t.Fatal(err)
		}
		if got.Hash() != tok.Hash() || !got.PinsCA(ca) || !got.PinsManifestKey(key) || got.Reveal() != text {
			t.Error("the token does not come back")
		}
		if got.PinsCA(key) || got.PinsManifestKey(ca) {
			t.Error("it pins anything")
		}
	}
	if NewToken(ca, key).Hash() == tok.Hash() {
		t.Error("two tokens have one secret")
	}
	secret := tok.secret()
	if tok.Hash() != HashSecret(secret[:]) || tok.Hash() == sha256.Sum256(nil) {
		t.Error("Hash is not that of the secret")
	}
	if (Token{}).Reveal() != "" || !(Token{}).IsZero() || tok.IsZero() {
		t.Error("the zero token is not empty")
	}
}

// Every single wrong, missing, extra or exchanged character is a typing error,
// found before central is asked.
func TestTypingErrorsAreFound(t *testing.T) {
	text := NewToken([]byte("a"), []byte("b")).Reveal()
	check := func(s, what string) {
		t.Helper()
		if s == text {
			return
		}
		_, err := ParseToken(s)
		if err == nil {
			t.Errorf("%s: accepted", what)
			return
		}
		if len(s) > 20 && strings.Contains(err.Error(), s[10:20]) {
			t.Errorf("%s: the error repeats the token: %v", what, err)
		}
	}
	for i := range text {
		for _, c := range "Aa0-_=." {
			check(text[:i]+string(c)+text[i+1:], fmt.Sprintf("character %d is %c", i, c))
		}
		check(text[:i]+text[i+1:], fmt.Sprintf("character %d is missing", i))
		check(text[:i]+"x"+text[i:], fmt.Sprintf("one more before %d", i))
		check(text[:i], fmt.Sprintf("only %d", i))
		if i > 0 {
			check(text[:i-1]+text[i:i+1]+text[i-1:i]+text[i+1:], fmt.Sprintf("%d exchanged", i))
		}
	}
	for s, want := range map[string]string{
		"":                           "does not begin",
		"hunter2":                    "does not begin",
		text[:50]:                    "copy it whole",
		text[:116] + "!":             "typing error",
		text[:60] + "\n" + text[60:]: "copy it whole",
	} {
		if _, err := ParseToken(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
}

func TestTokenDoesNotShowItself(t *testing.T) {
	secret := [secretSize]byte(bytes.Repeat([]byte{0x5a}, secretSize))
	tok := makeToken(secret, [32]byte{1}, [32]byte{2})
	type hidden struct{ tok Token }
	req := EnrollRequest{Secret: secret[:], CSR: []byte{1}}
	for _, v := range []any{tok, &tok, hidden{tok}, &hidden{tok}, []Token{tok}, map[string]Token{"": tok}, fmt.Errorf("x: %v", tok), req, &req} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o", "%t"} {
			noSecret(t, verb, fmt.Sprintf(verb, v))
		}
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("token", "token", v)
		noSecret(t, "slog", out.String())
		if _, isRequest := v.(EnrollRequest); isRequest {
			continue // JSON is how it travels
		}
		if _, isRequest := v.(*EnrollRequest); isRequest {
			continue
		}
		text, _ := json.Marshal(v)
		noSecret(t, "JSON", string(text))
		out.Reset()
		gob.NewEncoder(&out).Encode(v)
		noSecret(t, "gob", out.String())
	}
}

func noSecret(t *testing.T, how, text string) {
	t.Helper()
	for _, leak := range []string{"5a5a5a5a", "5A5A5A5A", "90 90", "ZZZ", "132 132", "1011010 1011010", "WlpaWl", "hhe1.", "0x5a, 0x5a"} {
		if strings.Contains(text, leak) {
			t.Errorf("%s shows the secret: %s", how, text)
		}
	}
}

func TestProblemsSayWhatToDo(t *testing.T) {
	for problem, want := range map[*Problem]string{
		{Type: ProblemTokenExpired}:                     "token has expired",
		{Type: ProblemTokenUsed, Detail: "by acme/s12"}: "(by acme/s12)",
		{Type: ProblemSuperseded}:                       "this lane's certificate was superseded: another machine holds a copy; ask central to replace the lane",
		{Type: "urn:x", Title: "No"}:                    "No",
		{Type: "urn:x", Title: "No", Detail: "No"}:      "No",
		{Status: 502}:            "central answered 502 Bad Gateway",
		{Type: ProblemWrongRole}: "another kind of program",
	} {
		if got := problem.Error(); !strings.Contains(got, want) {
			t.Errorf("%+v reads %q, want %q in it", *problem, got, want)
		}
		if !IsProblem(fmt.Errorf("x: %w", problem), problem.Type) || IsProblem(problem, "other") || IsProblem(errors.New("x"), problem.Type) {
			t.Error("IsProblem does not tell problems apart")
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(NewToken([]byte("a"), []byte("b")).Reveal())
	f.Add("hhe1.")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := ParseToken(s)
		if err == nil && tok.Reveal() != strings.TrimSpace(s) {
			t.Fatal("a token comes back otherwise")
		}
	})
}
