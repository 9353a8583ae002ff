package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"
)

// search looks for numbers in every file below dir, in each form that a program
// might write them in, and gives the files that hold one.
func search(dir string, numbers ...string) (files int, size int64, found []string, err error) {
	var needles [][]byte
	for _, n := range numbers {
		needles = append(needles, forms(n)...)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files, size = files+1, size+int64(len(text))
		for _, needle := range needles {
			if bytes.Contains(text, needle) {
				found = append(found, path)
				break
			}
		}
		return nil
	})
	return files, size, found, err
}

// forms gives a number as text, in groups of four, as UTF-16, packed decimal,
// hexadecimal, and base64 at each of its three alignments.
func forms(number string) [][]byte {
	out := [][]byte{[]byte(number), []byte(hex.EncodeToString([]byte(number)))}
	var groups []string
	for rest := number; rest != ""; {
		n := min(4, len(rest))
		groups, rest = append(groups, rest[:n]), rest[n:]
	}
	out = append(out, []byte(strings.Join(groups, " ")), []byte(strings.Join(groups, "-")))
	var little, big []byte
	for _, u := range utf16.Encode([]rune(number)) {
		little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
	}
	out = append(out, little, big)
	if packed, err := hex.DecodeString(number); err == nil {
		out = append(out, packed)
	}
	for shift := range 3 {
		text := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), number...))
		out = append(out, []byte(text[4:len(text)-4]))
	}
	return out
}
