package importer

import (
	"bytes"
	"context"
	"iter"

	"posd/central/server/rows"
	"posd/central/server/store"
)

// waiting stores rows of a bulk import that had to wait, a transaction at a time.
type waiting struct {
	*bulk
	ctx   context.Context
	skip  uint64 // rows that the run before has stored
	count uint64
	batch block
}

// line reads a line again; the first time it was good.
func (w *waiting) line(number uint64, line []byte) error {
	one := block{text: line, first: number, lines: 1}
	w.reader.read(&one)
	if len(one.rows) == 0 {
		return nil
	}
	return w.add(one.rows[0], number, line)
}

func (w *waiting) add(row store.ImportRow, number uint64, line []byte) error {
	if w.count++; w.count <= w.skip {
		return nil
	}
	b := &w.batch
	if b.text == nil {
		b.text = make([]byte, 0, bytesPerBlock+rows.MaxLine+2) // never grown: it is wiped
	}
	from := len(b.text)
	b.text = append(b.text, line...)
	b.rows, b.numbers, b.spans = append(b.rows, row), append(b.numbers, number), append(b.spans, [2]int{from, len(b.text)})
	if len(b.rows) < linesPerBlock && len(b.text) < bytesPerBlock {
		return nil
	}
	return w.flush()
}

func (w *waiting) flush() error {
	b := &w.batch
	defer func() {
		clear(b.text[:cap(b.text)])
		*b = block{text: b.text[:0]}
	}()
	w.pos.Sorted = max(w.count, w.skip)
	after, refused, err := w.Store.ImportRows(w.ctx, w.Act("import", w.detail()), w.i, b.rows, w.pos)
	if err != nil {
		return err
	}
	w.pos = after
	w.done += uint64(len(b.rows))
	return w.tellRefused(b, refused)
}

// pull gives the records of a sorter one by one, nil behind the last.
func pull(s *sorter) (next func() ([]byte, error), stop func()) {
	step, stop := iter.Pull2(s.sorted())
	return func() ([]byte, error) {
		record, err, _ := step()
		return bytes.Clone(record), err
	}, stop
}
