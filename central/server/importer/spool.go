package importer

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// spool keeps lines for later, in a file that has no name, encrypted under a key that
// is nowhere but in memory: they may hold numbers.
type spool struct {
	dir   string
	aead  cipher.AEAD
	file  *os.File
	out   *bufio.Writer
	count int
}

func newSpool(dir string) (*spool, error) {
	key := make([]byte, 32)
	defer clear(key)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &spool{dir: dir, aead: aead}, err
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// add keeps a line. Lines are added in their order.
func (s *spool) add(number uint64, line []byte) (err error) {
	if s.file == nil {
		if s.file, err = unnamed(s.dir); err != nil {
			return err
		}
		s.out = bufio.NewWriter(s.file)
	}
	sealed := s.aead.Seal(nil, nil, line, nil)
	head := binary.BigEndian.AppendUint64(nil, number)
	head = binary.BigEndian.AppendUint32(head, uint32(len(sealed)))
	s.out.Write(head)
	if _, err := s.out.Write(sealed); err != nil {
		return fmt.Errorf("keep lines for later: %w", err)
	}
	s.count++
	return nil
}

// lines gives the lines again. do may keep none.
func (s *spool) lines(do func(number uint64, line []byte) error) error {
	if s.file == nil {
		return nil
	}
	err := s.out.Flush()
	if err == nil {
		_, err = s.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("keep lines for later: %w", err)
	}
	in := bufio.NewReader(s.file)
	for {
		var head [12]byte
		if _, err := io.ReadFull(in, head[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read lines kept for later: %w", err)
		}
		if err := s.line(in, head, do); err != nil {
			return err
		}
	}
}

func (s *spool) line(in io.Reader, head [12]byte, do func(uint64, []byte) error) error {
	sealed := make([]byte, binary.BigEndian.Uint32(head[8:]))
	if _, err := io.ReadFull(in, sealed); err != nil {
		return fmt.Errorf("read lines kept for later: %w", err)
	}
	line, err := s.aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return fmt.Errorf("read lines kept for later: %w", err)
	}
	defer clear(line)
	return do(binary.BigEndian.Uint64(head[:8]), line)
}
