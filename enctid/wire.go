package enctid

import (
	"encoding/binary"
)

const (
	headerSize = 1 + 4 + 16 + 1
	boxSize    = 12 + PlaintextSize + 16 // nonce, ciphertext, tag
	flagEnc    = 1
)

// Message is a parsed EncTID. Its slices point into the bytes it was parsed
// from.
type Message struct {
	Key   KeyID
	Epoch EpochID
	Enc   []byte // encapsulated key, 1,120 bytes, or nil if it is not inline
	Box   []byte // nonce, ciphertext and tag, 60 bytes
}

// Parse splits an EncTID into its fields. Whatever is wrong with it, the error
// is [ErrRejected].
func Parse(b []byte) (Message, error) {
	if len(b) < headerSize || b[0] != Version1 {
		return Message{}, ErrRejected
	}
	m := Message{Key: KeyID(binary.BigEndian.Uint32(b[1:5])), Epoch: EpochID(b[5:21])}
	flags, rest := b[21], b[headerSize:]
	switch {
	case flags == flagEnc && len(b) == SizeWithEnc:
		m.Enc, rest = rest[:EncSize:EncSize], rest[EncSize:]
	case flags == 0 && len(b) == Size:
	default:
		return Message{}, ErrRejected
	}
	m.Box = rest
	return m, nil
}

// WithEnc gives the long form of an EncTID: enc is put inline and the flag set.
// An EncTID that brings its enc can be opened by any replica of central. The
// error is [ErrRejected] if enctid is not a short EncTID or enc has a wrong
// length.
func WithEnc(enctid, enc []byte) ([]byte, error) {
	m, err := Parse(enctid)
	if err != nil || m.Enc != nil || len(enc) != EncSize {
		return nil, ErrRejected
	}
	m.Enc = enc
	return m.append(make([]byte, 0, SizeWithEnc)), nil
}

// append writes the wire form of m.
func (m Message) append(dst []byte) []byte {
	dst = appendHeader(dst, m.Key, m.Epoch)
	if m.Enc != nil {
		dst[len(dst)-1] |= flagEnc
		dst = append(dst, m.Enc...)
	}
	return append(dst, m.Box...)
}

func appendHeader(dst []byte, k KeyID, e EpochID) []byte {
	dst = append(dst, Version1)
	dst = binary.BigEndian.AppendUint32(dst, uint32(k))
	dst = append(dst, e[:]...)
	return append(dst, 0)
}
