package msr

import "bytes"

// Scheme is how a reader lays out what it encrypts.
type Scheme string

// The schemes. Each encrypts by DUKPT (ANSI X9.24-1), in CBC with an initial
// vector of 0, and fills the last block with 0.
const (
	MagneSafe         Scheme = "magnesafe"          // MagTek MagneSafe V5: each track by itself
	SecureMagOriginal Scheme = "securemag-original" // ID TECH: the tracks in one piece
	SecureMagEnhanced Scheme = "securemag-enhanced" // ID TECH: each track by itself
)

// Cipher is what a reader encrypts with.
type Cipher string

// The ciphers.
const (
	TDES Cipher = "TDES"
	AES  Cipher = "AES"
)

// Block is the size of the cipher's blocks in bytes.
func (c Cipher) Block() int {
	if c == AES {
		return 16
	}
	return 8
}

// KSN is a key serial number (ANSI X9.24-1): it says which key a reader
// encrypted with, and is no secret.
type KSN [10]byte

// IsZero reports whether the reader sent none: it holds no keys.
func (k KSN) IsZero() bool { return k == KSN{} }

// Encrypted is what a reader that encrypts tells of a card.
type Encrypted struct {
	Scheme     Scheme
	Cipher     Cipher
	KSN        KSN
	PINKey     bool      // the key is DUKPT's PIN variant where the scheme's own is the data variant
	Serial     string    // of the reader; "" if it does not tell
	Tracks     [3]Secret // the ciphertext of tracks 1 to 3; of SecureMagOriginal all in the first that is there
	Lengths    [3]int    // how many characters each track had, sentinels included; 0 if the reader does not tell
	MagnePrint Secret    // of MagneSafe: the ciphertext of the stripe's fingerprint
	Session    Secret    // the ciphertext of the session id that the host gave the reader, if it did
}

// Wipe overwrites the ciphertext.
func (e Encrypted) Wipe() {
	for _, t := range e.Tracks {
		t.Wipe()
	}
	e.MagnePrint.Wipe()
	e.Session.Wipe()
}

// ReadEncrypted makes a swipe of a card that the reader encrypted. tracks are
// the states of its tracks. masked are tracks 1 and 2 as readers show them to
// people, nil if they do not. Nothing but the last four digits is taken from
// them, and never a TID: MagTek's readers mask with zeros and correct the check
// digit, so that a masked number looks like any other. ReadEncrypted wipes
// masked.
func (r Reader) ReadEncrypted(e Encrypted, tracks []Track, form string, masked [2][]byte) Swipe {
	s := Swipe{Source: SourceCard, Tracks: tracks, Form: form, Encrypted: &e, Code: CodeEncrypted}
	s.Reason = explain(s.Code, tracks)
	for i, separator := range []byte("^=") {
		if form == FormISO && r.Rules.Payment && s.tail == "" {
			s.tail = maskedTail(masked[i], separator)
		}
		clear(masked[i])
	}
	return s
}

// maskedTail gives the last four digits of the number on a masked track, "" if
// they are masked too.
func maskedTail(track []byte, separator byte) string {
	number, _, found := bytes.Cut(track, []byte{separator})
	if !found || len(number) < 9 || !digits(number[len(number)-4:]) { // a sentinel, and twice four digits
		return ""
	}
	return string(number[len(number)-4:])
}
