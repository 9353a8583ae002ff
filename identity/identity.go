// Package identity names who a basket belongs to, without saying who that is.
//
// A household id (HHID) stands for a family, a de-identified tender
// identification (DeIdentTID) for one card, loyalty or phone number within one
// retailer. Both are given by the central computer system; neither can be
// turned back into a number. The words are those of claim 1 of
// US 2009/0076923 A1.
package identity

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// encoding is RFC 4648 base32 in lower case, unpadded: easy to read over a
// telephone and safe in a URL.
var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const hhidPrefix = "hh:"

// HHID is a household id: 64 random bits, never derived from a TID. The zero
// value means "no household".
type HHID [8]byte

// NewHHID returns a random household id. It is never zero.
func NewHHID() HHID {
	var h HHID
	for h.IsZero() {
		rand.Read(h[:])
	}
	return h
}

// ParseHHID reads the text form, "hh:" and 13 lower-case base32 characters.
func ParseHHID(s string) (HHID, error) {
	var h HHID
	if err := decode(h[:], s, hhidPrefix); err != nil {
		return HHID{}, fmt.Errorf("parse household id: %v", err)
	}
	if h.IsZero() {
		return HHID{}, errors.New("parse household id: it is all zero, which stands for no household")
	}
	return h, nil
}

// IsZero reports whether h stands for no household.
func (h HHID) IsZero() bool { return h == HHID{} }

// String gives the text form, or "" for the zero value.
func (h HHID) String() string {
	if h.IsZero() {
		return ""
	}
	return hhidPrefix + encoding.EncodeToString(h[:])
}

// AppendText appends the text form to dst; the zero value is the empty text.
func (h HHID) AppendText(dst []byte) ([]byte, error) {
	if h.IsZero() {
		return dst, nil
	}
	return encoding.AppendEncode(append(dst, hhidPrefix...), h[:]), nil
}

// MarshalText gives the text form; the zero value is the empty text.
func (h HHID) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads the text form; the empty text is the zero value.
func (h *HHID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*h = HHID{}
		return nil
	}
	parsed, err := ParseHHID(string(text))
	if err != nil {
		return err
	}
	*h = parsed
	return nil
}

// DeIdentTID is the pseudonym of one TID within one retailer: "d", the version
// of the retailer's key, ":" and 128 bits of HMAC-SHA-256 in 26 lower-case
// base32 characters. The empty string means "none".
type DeIdentTID string

// MakeDeIdentTID gives the text form of a MAC made under version of a
// retailer's key. Versions count from 1.
func MakeDeIdentTID(version int, mac [16]byte) DeIdentTID {
	return DeIdentTID(AppendDeIdentTID(nil, version, mac))
}

// AppendDeIdentTID appends what MakeDeIdentTID gives to dst.
func AppendDeIdentTID(dst []byte, version int, mac [16]byte) []byte {
	dst = append(strconv.AppendInt(append(dst, 'd'), int64(version), 10), ':')
	return encoding.AppendEncode(dst, mac[:])
}

// ParseDeIdentTID checks s and returns it as a DeIdentTID.
func ParseDeIdentTID(s string) (DeIdentTID, error) {
	if _, _, err := splitDeIdentTID(s); err != nil {
		return "", fmt.Errorf("parse de-identified TID: %v", err)
	}
	return DeIdentTID(s), nil
}

// Version is the version of the retailer's key, or 0 if d is not well formed.
func (d DeIdentTID) Version() int {
	version, _, _ := splitDeIdentTID(string(d))
	return version
}

// MAC is the pseudonym's 128 bits, all zero if d is not well formed.
func (d DeIdentTID) MAC() [16]byte {
	_, mac, _ := splitDeIdentTID(string(d))
	return mac
}

// UnmarshalText reads the text form; the empty text is the zero value.
func (d *DeIdentTID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = ""
		return nil
	}
	parsed, err := ParseDeIdentTID(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

func splitDeIdentTID(s string) (version int, mac [16]byte, err error) {
	head, _, ok := strings.Cut(s, ":")
	if !ok || len(head) < 2 || len(head) > 5 || head[0] != 'd' {
		return 0, mac, errors.New(`it must begin with "d", a key version and ":"`)
	}
	version, err = strconv.Atoi(head[1:])
	if err != nil || version < 1 || head[1] == '0' || head[1] == '+' {
		return 0, mac, errors.New("its key version must be a number from 1")
	}
	if err := decode(mac[:], s, head+":"); err != nil {
		return 0, [16]byte{}, err
	}
	return version, mac, nil
}

// decode fills dst from the base32 behind prefix. It insists on the one
// spelling that encoding would have given, so that two texts never mean the
// same id.
func decode(dst []byte, s, prefix string) error {
	body, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return fmt.Errorf("it must begin with %q", prefix)
	}
	if len(body) != encoding.EncodedLen(len(dst)) {
		return fmt.Errorf("it must have %d characters after %q, not %d", encoding.EncodedLen(len(dst)), prefix, len(body))
	}
	raw, err := encoding.DecodeString(body)
	if err != nil || encoding.EncodeToString(raw) != body {
		return errors.New("it must be lower-case base32 (a-z, 2-7)")
	}
	copy(dst, raw)
	return nil
}
