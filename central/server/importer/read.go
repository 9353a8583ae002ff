package importer

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
	"time"

	"posd/central/server/rows"
	"posd/central/server/store"
	"posd/identity"
	"posd/tid"
)

// reader makes rows of lines, on all cores.
type reader struct {
	parser   *rows.Parser
	begun    time.Time
	row      func(tid.TID, []byte) (store.TID, error)
	families sync.Pool // HMACs under the import's key
}

func newReader(p *rows.Parser, i store.Import, row func(tid.TID, []byte) (store.TID, error)) *reader {
	r := &reader{parser: p, begun: i.BegunAt, row: row}
	r.families.New = func() any { return hmac.New(sha256.New, i.Key[:]) }
	return r
}

// read reads the lines of a block.
func (r *reader) read(b *block) {
	slot, digits := tid.NewSlot(), make([]byte, rows.MaxLine)
	b.rows = make([]store.ImportRow, 0, b.lines)
	b.sealed = make([]byte, 0, int(b.lines)*sealedSize)
	at, number := 0, b.first
	for ; at < len(b.text); number++ {
		end := bytes.IndexByte(b.text[at:], '\n') + 1
		if end == 0 {
			end = len(b.text) - at
		}
		line := bytes.TrimRight(b.text[at:at+end], "\r\n")
		if len(bytes.TrimSpace(line)) > 0 {
			r.line(b, line, slot, digits, number, [2]int{at, at + end})
		}
		at += end
	}
}

func (r *reader) line(b *block, line []byte, slot *tid.Slot, digits []byte, number uint64, span [2]int) {
	var parsed rows.Row
	err := r.parser.Parse(line, &parsed)
	var row store.ImportRow
	if err == nil {
		row, err = r.importRow(b, &parsed, slot, digits)
	}
	if err != nil {
		b.rejected = append(b.rejected, Rejected{Line: number, Reason: err.Error(), Text: bytes.Clone(b.text[span[0]:span[1]])})
		return
	}
	b.rows, b.numbers, b.spans = append(b.rows, row), append(b.numbers, number), append(b.spans, span)
}

// importRow makes of a row what the store takes. The number is sealed, and wiped where
// it was copied to.
func (r *reader) importRow(b *block, parsed *rows.Row, slot *tid.Slot, digits []byte) (row store.ImportRow, err error) {
	row = store.ImportRow{HHID: parsed.Household, OptedOut: parsed.OptedOut}
	switch {
	case len(parsed.Family) > 0:
		row.Family, row.HHID = r.family(parsed.Family)
		row.Create = true
	case !parsed.HHID.IsZero():
		row.HHID, row.Create = parsed.HHID, true
	}
	if len(parsed.TID) == 0 {
		row.DeIdent = parsed.DeIdentTID
		return row, nil
	}
	secret, err := slot.FromCanonical(parsed.Kind, digits[:copy(digits, parsed.TID)])
	if err != nil {
		return row, err
	}
	defer secret.Wipe()
	sealed := b.sealed[len(b.sealed):len(b.sealed):cap(b.sealed)]
	row.TID, err = r.row(secret, sealed)
	row.TID.CreatedAt = r.begun
	b.sealed = b.sealed[:len(b.sealed)+len(row.TID.Sealed)]
	return row, err
}

// family names a family of the import, and gives the id that its household gets: both
// are of an HMAC under the import's key, which is random and forgotten at its end.
func (r *reader) family(name []byte) (family [16]byte, id identity.HHID) {
	h := r.families.Get().(hash.Hash)
	defer r.families.Put(h)
	var sum [sha256.Size]byte
	h.Reset()
	h.Write(name)
	h.Sum(sum[:0])
	copy(family[:], sum[:])
	copy(id[:], sum[16:])
	if id.IsZero() {
		id[0] = 1
	}
	return family, id
}
