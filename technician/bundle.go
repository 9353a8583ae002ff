package technician

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"posd/basket"
)

// Part is one file of a bundle.
type Part struct {
	Name string
	Text []byte
	Err  error // why there is none: the bundle says so in its place
}

// WriteBundle writes the parts as one archive (tar, gzip) for a bug report.
// Numbers that could be a card's are masked in every part, whatever it is.
func WriteBundle(w io.Writer, parts []Part, now time.Time) error {
	zip := gzip.NewWriter(w)
	archive := tar.NewWriter(zip)
	for _, p := range parts {
		text := p.Text
		if p.Err != nil {
			text = []byte("not there: " + p.Err.Error() + "\n")
		}
		text = Scrub(text)
		head := &tar.Header{Name: "posd-bundle/" + p.Name, Mode: 0o600, Size: int64(len(text)), ModTime: now}
		if err := archive.WriteHeader(head); err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
		if _, err := archive.Write(text); err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	if err := zip.Close(); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	return nil
}

// chains are digits in a row, or in groups parted by single blanks or hyphens.
var chains = regexp.MustCompile(`[0-9](?:[ -]?[0-9]){12,}`)

// Scrub masks what could be the number of a card: 13 to 19 digits with the check
// digit and the first digits that cards have.
func Scrub(text []byte) []byte {
	return chains.ReplaceAllFunc(text, func(chain []byte) []byte {
		if !basket.HoldsCardNumber(string(chain)) {
			return chain
		}
		masked := slices.Clone(chain)
		for i, c := range masked {
			if c >= '0' && c <= '9' {
				masked[i] = maskDigit
			}
		}
		return masked
	})
}
