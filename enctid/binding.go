package enctid

import (
	"encoding/binary"
)

// Labels that keep this protocol's strings apart from any other's.
const (
	infoLabel   = "hhid/enctid info"
	aadLabel    = "hhid/enctid aad"
	exportLabel = "hhid/enctid/v1 key"
)

// Info is the HPKE info string of an epoch: label, version, key id, epoch id,
// tenant and lane. Fixed-size fields are big-endian, the others carry a
// two-byte length, so that no two inputs give the same string.
func Info(k KeyID, e EpochID, b Binding) []byte {
	return appendBound(make([]byte, 0, 320), infoLabel, k, e, b)
}

// AppendAAD appends the additional data of one EncTID to dst: the fields of
// [Info] under a label of its own, then basket id, swipe number and seal time.
func AppendAAD(dst []byte, k KeyID, e EpochID, b Binding, c Context) []byte {
	dst = appendBound(dst, aadLabel, k, e, b)
	dst = append(dst, c.Basket[:]...)
	dst = binary.BigEndian.AppendUint32(dst, c.Swipe)
	return binary.BigEndian.AppendUint64(dst, uint64(c.SealedAt))
}

func appendBound(dst []byte, label string, k KeyID, e EpochID, b Binding) []byte {
	dst = appendText(dst, label)
	dst = append(dst, Version1)
	dst = binary.BigEndian.AppendUint32(dst, uint32(k))
	dst = append(dst, e[:]...)
	dst = appendText(dst, b.Tenant)
	return appendText(dst, b.Lane)
}

func appendText(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}
