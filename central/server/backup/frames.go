package backup

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// A file is the magic and then frames: the length of the payload in 32 bits, the payload,
// whose first byte says what it is, and a SHA-256 over the hash of the frame before and
// the payload. So a frame that is changed, missing or in another place shows, and the last
// hash stands for the file.
const (
	magic    = "hhid-backup/1\n"
	maxFrame = 4 << 20
)

// The kinds of frames, in their order: a header; for each table its columns, then its
// rows; the end.
const (
	frameHeader = 'H'
	frameTable  = 'T'
	frameRows   = 'R'
	frameEnd    = 'E'
)

// ErrDamaged says that a file is not as it was written.
var ErrDamaged = errors.New("the file is damaged or cut off")

func damaged(what string) error { return fmt.Errorf("%w: %s", ErrDamaged, what) }

type frameWriter struct {
	out  *bufio.Writer
	hash [sha256.Size]byte
}

func newFrameWriter(out io.Writer) (*frameWriter, error) {
	w := &frameWriter{out: bufio.NewWriterSize(out, 256<<10)}
	_, err := w.out.WriteString(magic)
	return w, err
}

func chained(before [sha256.Size]byte, payload []byte) (hash [sha256.Size]byte) {
	h := sha256.New()
	h.Write(before[:])
	h.Write(payload)
	h.Sum(hash[:0])
	return hash
}

func (w *frameWriter) write(payload []byte) error {
	w.hash = chained(w.hash, payload)
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(payload)))
	w.out.Write(length[:])
	w.out.Write(payload)
	_, err := w.out.Write(w.hash[:])
	return err
}

func (w *frameWriter) writeJSON(kind byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.write(append([]byte{kind}, text...))
}

type frameReader struct {
	in   *bufio.Reader
	hash [sha256.Size]byte
}

func newFrameReader(in io.Reader) (*frameReader, error) {
	r := &frameReader{in: bufio.NewReaderSize(in, 256<<10)}
	begin := make([]byte, len(magic))
	if _, err := io.ReadFull(r.in, begin); err != nil && !short(err) {
		return nil, err
	}
	if string(begin) != magic {
		return nil, errors.New("it is no backup of centrald")
	}
	return r, nil
}

func short(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// next gives the next frame.
func (r *frameReader) next() (kind byte, payload []byte, err error) {
	var length [4]byte
	if err := r.read(length[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n == 0 || n > maxFrame {
		return 0, nil, damaged("a length is none")
	}
	frame := make([]byte, n)
	var hash [sha256.Size]byte
	if err := errors.Join(r.read(frame), r.read(hash[:])); err != nil {
		return 0, nil, err
	}
	if r.hash = chained(r.hash, frame); r.hash != hash {
		return 0, nil, damaged("a checksum is wrong")
	}
	return frame[0], frame[1:], nil
}

func (r *frameReader) read(b []byte) error {
	_, err := io.ReadFull(r.in, b)
	if short(err) {
		return damaged("it ends early")
	}
	return err
}

// end makes sure that nothing follows.
func (r *frameReader) end() error {
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.Join(err, damaged("something follows its end"))
	}
	return nil
}

func unmarshal(payload []byte, v any) error {
	if json.Unmarshal(payload, v) != nil {
		return damaged("a frame is not what it says")
	}
	return nil
}

// The kinds of values.
const (
	valueNull = iota
	valueInt
	valueText
	valueBlob
	valueFloat
)

func appendValue(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, valueNull), nil
	case int64:
		return binary.AppendVarint(append(dst, valueInt), v), nil
	case bool:
		return appendValue(dst, map[bool]int64{true: 1}[v])
	case float64:
		return binary.BigEndian.AppendUint64(append(dst, valueFloat), math.Float64bits(v)), nil
	case string:
		return append(binary.AppendUvarint(append(dst, valueText), uint64(len(v))), v...), nil
	case []byte:
		return append(binary.AppendUvarint(append(dst, valueBlob), uint64(len(v))), v...), nil
	}
	return nil, fmt.Errorf("a backup cannot hold a %T", v)
}

// takeValue takes a value off b. Bytes stay where they are.
func takeValue(b []byte) (v any, rest []byte, err error) {
	wrong := damaged("a value is none")
	if len(b) == 0 {
		return nil, nil, wrong
	}
	kind, b := b[0], b[1:]
	switch kind {
	case valueNull:
		return nil, b, nil
	case valueInt:
		i, n := binary.Varint(b)
		if n <= 0 {
			return nil, nil, wrong
		}
		return i, b[n:], nil
	case valueFloat:
		if len(b) < 8 {
			return nil, nil, wrong
		}
		return math.Float64frombits(binary.BigEndian.Uint64(b)), b[8:], nil
	case valueText, valueBlob:
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return nil, nil, wrong
		}
		b = b[n:]
		if kind == valueText {
			return string(b[:length]), b[length:], nil
		}
		return b[:length:length], b[length:], nil
	}
	return nil, nil, wrong
}
