package lookuplog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/google/uuid"
)

// A file is blocks, each of them readable by itself:
//
//	"HHll"  length  CRC-32C  payload
//
// with length and CRC of the payload in 32 bits, big-endian. A payload is a time
// (Unix milliseconds, 64 bits), a list of words, a count, and so many entries:
//
//	time since the one before (milliseconds, signed), lane, outcome, swipe, basket
//
// Lane and outcome are places in the list of words. Numbers of no fixed size are
// varints, words stand behind their length, a basket is 16 bytes.
const (
	magic      = "HHll"
	headerSize = len(magic) + 8
	maxPayload = 1 << 20
)

// Entry is one lookup.
type Entry struct {
	At      time.Time `json:"at"` // to the millisecond
	Lane    string    `json:"lane"`
	Basket  uuid.UUID `json:"basket"`
	Swipe   uint32    `json:"swipe"`
	Outcome string    `json:"outcome"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendBlock appends the block of entries, which must not be none.
func appendBlock(b []byte, entries []Entry) []byte {
	start := len(b)
	b = append(b, magic...)
	b = append(b, make([]byte, 8)...)
	places, words := dictionary(entries)
	last := entries[0].At.UnixMilli()
	b = binary.BigEndian.AppendUint64(b, uint64(last))
	b = binary.AppendUvarint(b, uint64(len(words)))
	for _, w := range words {
		b = append(binary.AppendUvarint(b, uint64(len(w))), w...)
	}
	b = binary.AppendUvarint(b, uint64(len(entries)))
	for _, e := range entries {
		at := e.At.UnixMilli()
		b = binary.AppendVarint(b, at-last)
		b = binary.AppendUvarint(b, places[e.Lane])
		b = binary.AppendUvarint(b, places[e.Outcome])
		b = binary.AppendUvarint(b, uint64(e.Swipe))
		b = append(b, e.Basket[:]...)
		last = at
	}
	payload := b[start+headerSize:]
	binary.BigEndian.PutUint32(b[start+len(magic):], uint32(len(payload)))
	binary.BigEndian.PutUint32(b[start+len(magic)+4:], crc32.Checksum(payload, castagnoli))
	return b
}

func dictionary(entries []Entry) (places map[string]uint64, words []string) {
	places = map[string]uint64{}
	for _, e := range entries {
		for _, w := range []string{e.Lane, e.Outcome} {
			if _, there := places[w]; !there {
				places[w] = uint64(len(words))
				words = append(words, w)
			}
		}
	}
	return places, words
}

// nextBlock finds the first whole block of b, and what is behind it. ok is false
// if there is none; skipped says how many bytes before it, or of all of b, belong
// to none.
func nextBlock(b []byte) (entries []Entry, rest []byte, skipped int, ok bool) {
	for from := 0; ; {
		at := bytes.Index(b[from:], []byte(magic))
		if at < 0 {
			return nil, nil, len(b), false
		}
		from += at
		if payload, ok := payloadOf(b[from:]); ok {
			if entries, err := parsePayload(payload); err == nil {
				return entries, b[from+headerSize+len(payload):], from, true
			}
		}
		from++
	}
}

func payloadOf(b []byte) ([]byte, bool) {
	if len(b) < headerSize {
		return nil, false
	}
	size := binary.BigEndian.Uint32(b[len(magic):])
	if size > maxPayload || int(size) > len(b)-headerSize {
		return nil, false
	}
	payload := b[headerSize : headerSize+int(size)]
	return payload, crc32.Checksum(payload, castagnoli) == binary.BigEndian.Uint32(b[len(magic)+4:])
}

var errPayload = errors.New("a block does not hold what its lengths say")

func parsePayload(b []byte) ([]Entry, error) {
	if len(b) < 8 {
		return nil, errPayload
	}
	r := &reader{b: b[8:]}
	last := int64(binary.BigEndian.Uint64(b))
	words := make([]string, 0, min(r.number(), uint64(len(b))))
	for range cap(words) {
		words = append(words, string(r.bytes(r.number())))
	}
	n := r.number()
	if r.bad || n > uint64(len(b)) {
		return nil, errPayload
	}
	entries := make([]Entry, 0, n)
	for range n {
		last += r.signed()
		e := Entry{At: time.UnixMilli(last).UTC(), Lane: r.word(words), Outcome: r.word(words), Swipe: uint32(r.number())}
		copy(e.Basket[:], r.bytes(uint64(len(e.Basket))))
		entries = append(entries, e)
	}
	if r.bad || len(r.b) != 0 {
		return nil, errPayload
	}
	return entries, nil
}

// reader takes a payload apart; bad is set where it ends early.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	return advance(r, v, n)
}

func (r *reader) signed() int64 {
	v, n := binary.Varint(r.b)
	return advance(r, v, n)
}

func advance[T uint64 | int64](r *reader, v T, n int) T {
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) word(words []string) string {
	place := r.number()
	if place >= uint64(len(words)) {
		r.bad = true
		return ""
	}
	return words[place]
}

// String is an entry as a person reads it.
func (e Entry) String() string {
	return fmt.Sprintf("%s %s %s %d %s", e.At.Format(time.RFC3339Nano), e.Lane, e.Basket, e.Swipe, e.Outcome)
}
