package card

import (
	"encoding/hex"
	"time"

	"posd/drivers/driver"
	"posd/msr"
)

// What ID TECH's readers send that encrypt (SecureMag user manual 80096504-001,
// "Data format"; SREDKey 2 integration manual 80172501-001, "Data output
// format"): STX, the length of the card data, lower byte first, the card data,
// its bytes xored (LRC) and added up (checksum), ETX. The card data are
//
//	0      card encode type: 0 bank, 1 AAMVA, 3 other, 4 raw; 80 is added in the enhanced format
//	1      bits 3 to 5: there is something on tracks 1 to 3
//	2-4    length of tracks 1 to 3; 0 if there is none or it could not be read
//	5-6    of the enhanced format: which of the following are there
//	       tracks 1 to 3, masked or in clear
//	       tracks 1 to 3, encrypted; in the original format as one, and only of a bank's card
//	       session id, hashes of 20 bytes each, serial number of the reader, key serial number
//
// Bits 0 to 2 of byte 1 say which tracks were decoded, and manuals do not agree
// on which way round: a length says as much.
const (
	secureSTX      = 0x02
	secureETX      = 0x03
	secureFrame    = 6      // bytes around the card data
	maxSecure      = 0x7ff  // of card data: more than there ever are
	enhanced       = 0x80   // in the card encode type
	optionalFields = 1 << 6 // in the track status, SREDKey 2: fields of which nothing is known here
	hashBytes      = 20
	serialBytes    = 10
)

// The bits of byte 5.
const (
	secureShown  = 0x07 // tracks that are there masked or in clear
	secureAES    = 1 << 4
	secureCipher = 1 << 5 // no cipher that is known
	securePIN    = 1 << 6
	secureSerial = 1 << 7
)

// The bits of byte 6.
const (
	secureSealed  = 0x07 // tracks that are there encrypted
	secureHashes  = 0x38
	secureSession = 1 << 6
	secureKSN     = 1 << 7
)

// Codes of data that are not as they should be.
const (
	codeSum      = "checksum"
	codeEnd      = "frame-end"
	codeCardType = "card-type"
	codeCipher   = "cipher"
	codeUnsealed = "not-encrypted" // the data of a bank's card without ciphertext
)

// secureError says why data are refused. It repeats nothing of them.
type secureError = driver.ReadError

func lies(what string) *secureError {
	return &secureError{Code: msr.CodeLength, Reason: "what the reader says of its lengths cannot be: " + what}
}

// checkSecure checks what stands around card data, whose LRC, checksum and end
// are given. Readers on a keyboard count and check the characters that they type.
func checkSecure(card []byte, lrc, sum, etx byte) *secureError {
	var x, total byte
	for _, c := range card {
		x ^= c
		total += c
	}
	switch {
	case etx != secureETX:
		return &secureError{Code: codeEnd, Reason: "the reader's data do not end where their length says"}
	case x != lrc:
		return &secureError{Code: msr.CodeLRC, Reason: "the LRC of the reader's data is wrong: swipe the card again"}
	case total != sum:
		return &secureError{Code: codeSum, Reason: "the checksum of the reader's data is wrong: swipe the card again"}
	}
	return nil
}

// unframe gives the card data of a frame, behind which there may be anything.
func unframe(b []byte) ([]byte, *secureError) {
	if len(b) < secureFrame || b[0] != secureSTX {
		return nil, lies("a frame is shorter than what stands around its data")
	}
	n := int(b[1]) | int(b[2])<<8
	if n > len(b)-secureFrame {
		return nil, lies("the card data are longer than what was sent")
	}
	end := b[3+n:]
	return b[3 : 3+n], checkSecure(b[3:3+n], end[0], end[1], end[2])
}

// secureHead is the head of card data.
type secureHead struct {
	kind, status  byte
	lengths       [3]int
	shown, sealed byte // bytes 5 and 6
	size          int
}

func secureHeadOf(b []byte) (h secureHead, err *secureError) {
	if len(b) < 5 || b[0]&enhanced != 0 && len(b) < 7 {
		return h, lies("the card data end within their head")
	}
	h = secureHead{kind: b[0], status: b[1], lengths: [3]int{int(b[2]), int(b[3]), int(b[4])}, size: 5}
	switch {
	case h.isEnhanced():
		h.shown, h.sealed, h.size = b[5], b[6], 7
	case !h.raw():
		h.shown = secureShown
	}
	return h, nil
}

func (h secureHead) isEnhanced() bool { return h.kind&enhanced != 0 }
func (h secureHead) bank() bool       { return h.kind&^enhanced == 0 }
func (h secureHead) raw() bool        { return h.kind&^enhanced == 4 }

// refusal says why nothing can be made of card data with this head.
func (h secureHead) refusal() *secureError {
	switch kind := h.kind &^ enhanced; {
	case kind > 4 || kind == 2:
		return &secureError{Code: codeCardType, Reason: "the reader sends what is no card, such as a number that was keyed in at it: that is not read"}
	case h.status&optionalFields != 0 || h.shown&secureCipher != 0:
		return &secureError{Code: codeCipher, Reason: "the reader encrypts in a way that is not known here: set it to DUKPT with TDES or AES"}
	}
	return nil
}

// visible is how many bytes of tracks are there masked or in clear.
func (h secureHead) visible() (n int) {
	for i, length := range h.lengths {
		if h.shown>>i&1 != 0 {
			n += length
		}
	}
	return n
}

// failed reports whether there is something on a track that could not be read.
func (h secureHead) failed(i int) bool { return h.lengths[i] == 0 && h.status>>(3+i)&1 != 0 }

func (h secureHead) form() string {
	switch h.kind &^ enhanced {
	case 0:
		return msr.FormISO
	case 1:
		return msr.FormAAMVA
	}
	return msr.FormOther
}

// secureMag makes readings of card data.
type secureMag struct {
	reader msr.Reader
	cipher msr.Cipher // of readers that do not tell: those with the original format
}

// read gives the reading of card data, which the caller wipes.
func (m secureMag) read(at time.Time, card []byte) driver.Reading {
	h, err := secureHeadOf(card)
	if err == nil {
		err = h.refusal()
	}
	if err != nil {
		return driver.Failure(at, err.Code, err.Reason)
	}
	c := cutter{rest: card[h.size:]}
	var tracks [4]msr.Field
	for i, n := range h.lengths {
		switch {
		case h.failed(i):
			tracks[i].Failed = msr.CodeReaderError
		case h.shown>>i&1 != 0:
			tracks[i].Data = c.cut(n)
		}
	}
	if h.isEnhanced() {
		return m.enhanced(at, h, &c, tracks)
	}
	return m.original(at, h, &c, tracks)
}

// cutter cuts card data into their parts.
type cutter struct {
	rest  []byte
	short bool // there was less than was to be cut off
}

func (c *cutter) cut(n int) []byte {
	if n > len(c.rest) {
		c.short, n = true, len(c.rest)
	}
	part := c.rest[:n:n]
	c.rest = c.rest[n:]
	return part
}

// done reports what is wrong with the lengths once all is cut.
func (c *cutter) done() *secureError {
	switch {
	case c.short:
		return lies("the card data are shorter than their parts")
	case len(c.rest) > 0:
		return lies("the card data are longer than their parts")
	}
	return nil
}

// unsealed gives the reading of a card that the reader does not encrypt. A bank's
// card always is: without ciphertext its tracks are masked, and a mask may look
// like a number.
func (m secureMag) unsealed(at time.Time, h secureHead, c *cutter, tracks [4]msr.Field) driver.Reading {
	err := c.done()
	if err == nil && (h.bank() || h.raw()) && !nothing(h) {
		err = &secureError{Code: codeUnsealed, Reason: "the reader sends a bank's card masked, and not encrypted: set it to encrypt, or to security level 1"}
	}
	if err != nil {
		return driver.Failure(at, err.Code, err.Reason)
	}
	form := h.form()
	if form != msr.FormAAMVA {
		form = ""
	}
	return swiped(at, m.reader.ReadFields(tracks, form))
}

// nothing reports whether no track could be read.
func nothing(h secureHead) bool { return h.lengths == [3]int{} }

// enhanced reads what follows the tracks in the enhanced format.
func (m secureMag) enhanced(at time.Time, h secureHead, c *cutter, tracks [4]msr.Field) driver.Reading {
	e := msr.Encrypted{Scheme: msr.SecureMagEnhanced, Cipher: msr.TDES, Lengths: h.lengths, PINKey: h.shown&securePIN != 0}
	if h.shown&secureAES != 0 {
		e.Cipher = msr.AES
	}
	var sealed [3][]byte
	for i := range sealed {
		if h.sealed>>i&1 != 0 {
			sealed[i] = c.cut(filled(h.lengths[i], e.Cipher))
		}
	}
	var session []byte
	if h.sealed&secureSession != 0 {
		session = c.cut(e.Cipher.Block())
	}
	for bit := byte(1 << 3); bit&secureHashes != 0; bit <<= 1 {
		if h.sealed&bit != 0 {
			c.cut(hashBytes)
		}
	}
	if h.shown&secureSerial != 0 {
		e.Serial = text(c.cut(serialBytes))
	}
	if h.sealed&secureKSN != 0 {
		copy(e.KSN[:], c.cut(len(e.KSN)))
	}
	if h.sealed&secureSealed == 0 {
		return m.unsealed(at, h, c, tracks)
	}
	if err := c.done(); err != nil {
		return driver.Failure(at, err.Code, err.Reason)
	}
	e.Session = msr.NewSecret(session)
	return m.sealed(at, h, e, sealed, tracks)
}

// original reads what follows the tracks in the original format, which has no
// word for what there is: of a bank's card the tracks but the third are encrypted
// in one piece, of raw data all three. Hashes may be there or not.
func (m secureMag) original(at time.Time, h secureHead, c *cutter, tracks [4]msr.Field) driver.Reading {
	if !h.bank() && !h.raw() || nothing(h) {
		return m.unsealed(at, h, c, tracks)
	}
	e := msr.Encrypted{Scheme: msr.SecureMagOriginal, Cipher: m.cipher, Lengths: h.lengths}
	plain := h.lengths[0] + h.lengths[1]
	if h.raw() {
		plain += h.lengths[2]
	}
	if len(c.rest) == 0 || plain == 0 {
		return m.unsealed(at, h, c, tracks)
	}
	sealed := c.cut(filled(plain, e.Cipher))
	hashes := max(0, len(c.rest)-len(e.KSN)) / hashBytes
	c.cut(min(hashes, 3) * hashBytes)
	copy(e.KSN[:], c.cut(len(e.KSN)))
	if err := c.done(); err != nil {
		return driver.Failure(at, err.Code, err.Reason)
	}
	return m.sealed(at, h, e, inFirst(sealed, h), tracks)
}

// inFirst gives the ciphertext of all tracks to the first that is there.
func inFirst(sealed []byte, h secureHead) (tracks [3][]byte) {
	i := 0
	for i < 2 && h.lengths[i] == 0 {
		i++
	}
	tracks[i] = sealed
	return tracks
}

// filled is how long n bytes are in whole blocks.
func filled(n int, c msr.Cipher) int { return (n + c.Block() - 1) / c.Block() * c.Block() }

// sealed gives the reading of a card that is encrypted.
func (m secureMag) sealed(at time.Time, h secureHead, e msr.Encrypted, sealed [3][]byte, tracks [4]msr.Field) driver.Reading {
	state := states()
	for i := range state {
		switch {
		case tracks[i].Failed != "":
			state[i].Status, state[i].Code = msr.TrackError, tracks[i].Failed
		case h.lengths[i] > 0:
			state[i].Status, state[i].Ciphertext = msr.TrackOK, len(sealed[i])
		}
		e.Tracks[i] = msr.NewSecret(sealed[i])
	}
	return encrypted(at, m.reader, e, state, h.form(), [2][]byte{tracks[0].Data, tracks[1].Data})
}

// The same as text: readers that are a keyboard type the bytes in hex, but the
// tracks that are masked or in clear as they are. Length, LRC and checksum are of
// the characters typed.
const (
	secureText = "02"
	textHead   = len("02") + 4 + 2*5 // up to the lengths of the tracks
)

// beginsSecure reports whether text begins as such data do, and no track.
func beginsSecure(b []byte) bool {
	if len(b) < textHead || string(b[:2]) != secureText {
		return false
	}
	for _, c := range b[:textHead] {
		if (c < '0' || c > '9') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// readText gives the reading of such text, and writes over it.
func (m secureMag) readText(at time.Time, b []byte) driver.Reading {
	card, err := unframeText(b)
	if err == nil {
		card, err = unhexSecure(card)
	}
	if err != nil {
		return driver.Failure(at, err.Code, err.Reason)
	}
	return m.read(at, card)
}

func unframeText(b []byte) ([]byte, *secureError) {
	var edge [3]byte
	if _, err := hex.Decode(edge[:2], b[2:6]); err != nil {
		return nil, notHex()
	}
	n := int(edge[0]) | int(edge[1])<<8
	if n > len(b)-12 {
		return nil, lies("the card data are longer than what was sent")
	}
	card := b[6 : 6+n]
	if _, err := hex.Decode(edge[:], b[6+n:12+n]); err != nil {
		return nil, notHex()
	}
	return card, checkSecure(card, edge[0], edge[1], edge[2])
}

func notHex() *secureError {
	return &secureError{Code: msr.CodeParity, Reason: "the reader's data have a character that is no hex digit: swipe the card again"}
}

// unhexSecure turns text into card data, in its own memory.
func unhexSecure(b []byte) ([]byte, *secureError) {
	var head [7]byte
	size := 5
	if len(b) > 0 && b[0] >= '8' {
		size = 7
	}
	if len(b) < 2*size {
		return nil, lies("the card data end within their head")
	}
	if _, err := hex.Decode(head[:size], b[:2*size]); err != nil {
		return nil, notHex()
	}
	h, err := secureHeadOf(head[:size])
	shown := min(h.visible(), len(b)-2*size)
	if err != nil || (len(b)-shown)%2 != 0 {
		return nil, lies("half a byte is left over")
	}
	copy(b, head[:size])
	copy(b[size:], b[2*size:2*size+shown])
	n, wrong := hex.Decode(b[size+shown:], b[2*size+shown:])
	if wrong != nil {
		return nil, notHex()
	}
	return b[:size+shown+n], nil
}
