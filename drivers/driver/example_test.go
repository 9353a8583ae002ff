package driver_test

import (
	"fmt"
	"time"

	"posd/drivers/driver"
	"posd/scanner"
	"posd/tid"
)

// acme reads the scanners of a maker that sends each label behind its length: a
// byte, and as many bytes of text. docs/writing-a-driver.md tells of it line by
// line.
func acme() driver.Driver {
	return driver.Driver{
		Name: "acme-scanner", Role: driver.Scanner, Transports: []driver.Transport{driver.TTY},
		Doc:   "Acme scanners, which send the length of a label before it",
		Mode:  "as it comes",
		Beep:  "the scanner",
		Claim: func(a driver.Attributes) bool { return a.Transport == driver.TTY },
		Fits:  acmeFits,
		Open: func(driver.Attributes, driver.Settings, tid.Rules) (driver.Decoder, error) {
			return &acmeDecoder{}, nil
		},
	}
}

// acmeFits reports whether reads look like Acme's: the first byte is the length
// of what follows.
func acmeFits(reads []driver.Read) bool {
	n := 0
	for _, r := range reads {
		n += len(r.Data)
	}
	return n > 1 && len(reads[0].Data) > 0 && int(reads[0].Data[0])+1 <= n
}

// acmeDecoder puts a label together from reads of any size.
type acmeDecoder struct {
	buf  []byte // the length and what has come of the label
	last time.Time
}

func (d *acmeDecoder) Decode(r driver.Read, emit driver.Emit) {
	d.last = r.At
	d.buf = append(d.buf, r.Data...)
	for len(d.buf) > 0 && len(d.buf) > int(d.buf[0]) {
		n := 1 + int(d.buf[0])
		emit(driver.Reading{Type: driver.Scan, At: r.At, Scan: scanner.Decode(d.buf[1:n], scanner.Options{})})
		left := copy(d.buf, d.buf[n:])
		clear(d.buf[left:])
		d.buf = d.buf[:left]
	}
}

// acmePause is longer than the scanner takes from one byte to the next.
const acmePause = 200 * time.Millisecond

func (d *acmeDecoder) Deadline() time.Time {
	if len(d.buf) == 0 {
		return time.Time{}
	}
	return d.last.Add(acmePause)
}

func (d *acmeDecoder) Expire(now time.Time, emit driver.Emit) {
	if len(d.buf) == 0 || now.Before(d.Deadline()) {
		return
	}
	clear(d.buf)
	d.buf = d.buf[:0]
	emit(driver.Failure(d.last, scanner.CodeIncomplete, "the rest of a label did not come"))
}

// A whole driver, fed as a device would feed it.
func Example() {
	dec, err := acme().Open(driver.Attributes{Transport: driver.TTY}, nil, tid.Rules{})
	if err != nil {
		fmt.Println(err)
		return
	}
	tell := func(r driver.Reading) {
		fmt.Printf("%s %s%s\n", r.Type, r.Scan.GTIN, r.Err.Code)
	}
	at := time.Unix(0, 0)
	driver.Feed(dec, driver.Read{At: at, Data: []byte("\x0c03600")}, tell)
	driver.Feed(dec, driver.Read{At: at.Add(10 * time.Millisecond), Data: []byte("0291452\x0d")}, tell)
	driver.Feed(dec, driver.Read{At: at.Add(time.Second)}, tell)
	// Output:
	// scan 00036000291452
	// error incomplete
}
