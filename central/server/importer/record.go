package importer

import (
	"encoding/binary"
	"time"

	"posd/central/server/store"
	"posd/enctid"
	"posd/identity"
	"posd/tid"
)

// sealedSize is that of a sealed TID: nonce, padded plaintext, tag.
const sealedSize = 12 + enctid.PlaintextSize + 16

// A card of a bulk import, as it is sorted: fingerprint and line first, by which it is
// sorted; then the household, the family, flags, kind, the DeIdentTID with its version,
// the number of the fingerprint's key, and the sealed TID.
const (
	fingerprintAt = 0
	lineAt        = 16
	keySize       = 24
	hhidAt        = 24
	familyAt      = 32
	flagsAt       = 48
	kindAt        = 49
	deidentAt     = 50
	versionAt     = 66
	keyAt         = 70
	sealedAt      = 74
	recordSize    = sealedAt + sealedSize
)

// The flags of a record.
const (
	flagOptedOut = 1 << iota
	flagLater    // the row waits for its household: only its place is sorted in
)

func appendRecord(dst []byte, r *store.ImportRow, line uint64) []byte {
	dst = append(dst, r.TID.Fingerprint[:]...)
	dst = binary.BigEndian.AppendUint64(dst, line)
	dst = append(append(dst, r.HHID[:]...), r.Family[:]...)
	flags := byte(0)
	if r.OptedOut {
		flags |= flagOptedOut
	}
	if !r.Create {
		flags |= flagLater
	}
	kind, _ := tid.ParseKind(string(r.TID.Kind))
	dst = append(append(dst, flags, byte(kind)), r.TID.DeIdent[:]...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.TID.DeIdentVersion))
	dst = binary.BigEndian.AppendUint32(dst, r.TID.FingerprintKey)
	return append(dst, r.TID.Sealed...)
}

// fromRecord is the inverse of appendRecord; it keeps nothing of the record.
func fromRecord(record []byte, tenant int64, at time.Time) (r store.ImportRow, line uint64) {
	r.TID = store.TID{
		Tenant: tenant, Fingerprint: [16]byte(record[fingerprintAt:]), FingerprintKey: binary.BigEndian.Uint32(record[keyAt:]), Sealed: append([]byte(nil), record[sealedAt:]...),
		DeIdent: [16]byte(record[deidentAt:]), DeIdentVersion: int(binary.BigEndian.Uint32(record[versionAt:])),
		Kind: identity.Kind(tid.Kind(record[kindAt]).String()), CreatedAt: at,
	}
	r.HHID, r.Family, r.Create = identity.HHID(record[hhidAt:]), [16]byte(record[familyAt:]), true
	r.OptedOut = record[flagsAt]&flagOptedOut != 0
	return r, binary.BigEndian.Uint64(record[lineAt:])
}
