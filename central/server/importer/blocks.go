package importer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"posd/central/server/rows"
	"posd/central/server/store"
)

const (
	linesPerBlock = 2000 // are stored in one transaction
	bytesPerBlock = 256 << 10
	maxText       = 512 << 10 // of a line that is no row, and has to be given back
)

// block is a piece of the input: whole lines.
type block struct {
	text   []byte   // wiped once it was read
	first  uint64   // number of its first line, from 1
	lines  uint64   // how many
	digest [32]byte // SHA-256 of the input up to its end
	bytes  int64    // of the input up to its end

	ready    chan struct{} // closed when it was read
	rows     []store.ImportRow
	numbers  []uint64 // of the rows' lines
	spans    [][2]int // of the rows' lines within text
	rejected []Rejected
	sealed   []byte // what the rows' sealed TIDs lie in
	err      error
}

// wipe forgets the lines of a block.
func (b *block) wipe() {
	clear(b.text)
	for i := range b.rejected {
		clear(b.rejected[i].Text)
	}
}

// line is the text of a row's line, with its end.
func (b *block) line(row int) []byte { return b.text[b.spans[row][0]:b.spans[row][1]] }

// cutter cuts the input into blocks. Its buffer is wiped as it goes.
type cutter struct {
	in     io.Reader
	buf    []byte // what was read and is in no block yet is buf[:have]
	have   int
	lines  uint64
	bytes  int64
	digest hash.Hash
	ended  bool
}

func newCutter(in io.Reader) *cutter {
	return &cutter{in: in, buf: make([]byte, bytesPerBlock), digest: sha256.New()}
}

func (c *cutter) wipe() { clear(c.buf) }

// next gives up to max lines, io.EOF behind the last.
func (c *cutter) next(max uint64) (*block, error) {
	for {
		n, end := c.whole(max)
		if n > 0 && (n == max || c.ended || c.have == len(c.buf)) {
			return c.take(n, end), nil
		}
		if c.ended {
			return nil, io.EOF
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// whole counts the whole lines that there are, up to max, and says where they end.
func (c *cutter) whole(max uint64) (n uint64, end int) {
	for n < max {
		i := bytes.IndexByte(c.buf[end:c.have], '\n')
		if i < 0 {
			break
		}
		n, end = n+1, end+i+1
	}
	if c.ended && n < max && end < c.have {
		n, end = n+1, c.have
	}
	return n, end
}

// fill reads until the buffer is full, or the input has ended: blocks are as large as
// they can be, whatever pieces it comes in.
func (c *cutter) fill() error {
	if c.have == len(c.buf) {
		if len(c.buf) >= maxText {
			return fmt.Errorf("line %d is longer than %d bytes: this is neither NDJSON nor CSV", c.lines+1, maxText)
		}
		larger := make([]byte, maxText)
		copy(larger, c.buf)
		clear(c.buf)
		c.buf = larger
	}
	n, err := c.in.Read(c.buf[c.have:])
	c.have += n
	if errors.Is(err, io.EOF) {
		c.ended, err = true, nil
	}
	return err
}

func (c *cutter) take(lines uint64, end int) *block {
	b := &block{text: bytes.Clone(c.buf[:end]), first: c.lines + 1, lines: lines, ready: make(chan struct{})}
	c.digest.Write(b.text)
	b.digest = sum(c.digest)
	left := copy(c.buf, c.buf[end:c.have])
	clear(c.buf[left:c.have])
	c.have = left
	c.lines += lines
	c.bytes += int64(end)
	b.bytes = c.bytes
	return b
}

// sum is a hash up to here.
func sum(h hash.Hash) (d [32]byte) {
	h.Sum(d[:0])
	return d
}

var errOtherInput = errors.New("this is not the input of which an earlier import has read the first lines: give that one again, or --restart to forget how far it was")

// skip reads what an earlier run has stored.
func (c *cutter) skip(p store.Position) error {
	for c.lines < p.Lines {
		b, err := c.next(min(linesPerBlock, p.Lines-c.lines))
		if errors.Is(err, io.EOF) {
			return errOtherInput
		}
		if err != nil {
			return err
		}
		b.wipe()
	}
	if p.Lines > 0 && sum(c.digest) != p.Digest {
		return errOtherInput
	}
	return nil
}

// headings reads the headings of a CSV file, and gives their line.
func (c *cutter) headings(p *rows.Parser) ([]byte, error) {
	if !p.NeedsHeadings() {
		return nil, nil
	}
	b, err := c.next(1)
	if err != nil {
		return nil, err
	}
	return b.text, p.Headings(bytes.TrimRight(b.text, "\r\n"))
}

// each cuts the rest of the input, has every block read by one of several workers, and
// gives them to do in their order. A block is wiped after that.
func (c *cutter) each(ctx context.Context, workers int, read func(*block), do func(*block) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work, order := make(chan *block), make(chan *block, 2*workers)
	for range workers {
		go func() {
			for b := range work {
				read(b)
				close(b.ready)
			}
		}()
	}
	go func() {
		defer close(order)
		defer close(work)
		for {
			b, err := c.next(linesPerBlock)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				b = &block{err: err, ready: make(chan struct{})}
				close(b.ready)
			}
			select {
			case order <- b:
			case <-ctx.Done():
				return
			}
			if b.err != nil {
				return
			}
			work <- b
		}
	}()
	return inOrder(ctx, cancel, order, do)
}

// inOrder gives blocks to do until one fails; then it lets the others pass.
func inOrder(ctx context.Context, cancel func(), order <-chan *block, do func(*block) error) (err error) {
	for b := range order {
		<-b.ready
		if err == nil {
			err = errors.Join(b.err, ctx.Err())
		}
		if err == nil {
			err = do(b)
		}
		if err != nil {
			cancel()
		}
		b.wipe()
	}
	return err
}
