package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// maxLine is the longest command: two characters a byte, for the largest label.
const maxLine = 64 << 10

// Run plays commands until the script ends, or ctx does, and writes a line for
// each to out. Errors name the line; one that cannot be understood is a
// *CommandError beneath. name is what errors call the script.
//
// Where ctx ends while the script's Read blocks, Run returns, and the goroutine
// that reads ends with that Read.
func (s *Sim) Run(ctx context.Context, name string, script io.Reader, out io.Writer) error {
	lines := newLines(script)
	defer close(lines.done)
	for number := 1; ; number++ {
		line, err := lines.next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		var said string
		if err == nil {
			said, err = s.do(ctx, line)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
		if said != "" {
			if _, err := fmt.Fprintln(out, said); err != nil {
				return fmt.Errorf("report: %w", err)
			}
		}
	}
}

// lines reads lines in a goroutine of its own, one when it is asked for one,
// into one buffer that is wiped at the end.
type lines struct {
	ask  chan struct{}
	got  chan gotLine
	done chan struct{}
}

type gotLine struct {
	line []byte // valid, and to be wiped, until the next is asked for
	err  error
}

func newLines(r io.Reader) *lines {
	l := &lines{make(chan struct{}), make(chan gotLine), make(chan struct{})}
	go l.run(r)
	return l
}

func (l *lines) run(r io.Reader) {
	reader := lineReader{r: r, buf: make([]byte, 0, maxLine)}
	defer func() { clear(reader.buf[:cap(reader.buf)]) }()
	for {
		select {
		case <-l.done:
			return
		case <-l.ask:
		}
		line, err := reader.next()
		select {
		case <-l.done:
			return
		case l.got <- gotLine{line, err}:
		}
	}
}

func (l *lines) next(ctx context.Context) ([]byte, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case l.ask <- struct{}{}:
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case g := <-l.got:
		return g.line, g.err
	}
}

// lineReader reads lines into one buffer.
type lineReader struct {
	r     io.Reader
	buf   []byte // what was read
	start int    // of what was not used
	eof   bool
}

// next gives the next line. io.EOF at the end.
func (l *lineReader) next() ([]byte, error) {
	for {
		rest := l.buf[l.start:]
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			l.start += end + 1
			return rest[:end], nil
		}
		if l.eof && len(rest) == 0 {
			return nil, io.EOF
		}
		if l.eof {
			l.start = len(l.buf)
			return rest, nil
		}
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
}

// fill moves the rest of the buffer to its front and reads on.
func (l *lineReader) fill() error {
	rest := copy(l.buf, l.buf[l.start:])
	clear(l.buf[rest:])
	l.buf, l.start = l.buf[:rest], 0
	if rest == cap(l.buf) {
		return misuse("the line is longer than %d bytes", maxLine)
	}
	n, err := l.r.Read(l.buf[rest:cap(l.buf)])
	l.buf = l.buf[:rest+n]
	if errors.Is(err, io.EOF) {
		l.eof = true
		return nil
	}
	return err
}
