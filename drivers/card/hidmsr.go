package card

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"posd/drivers/driver"
	"posd/drivers/hid"
	"posd/msr"
	"posd/tid"
)

// The usages of card readers (HID Point of Sale Usage Tables 1.02, page 8E).
const (
	usageMSR       = hid.Usage(0x8e<<16 | 0x01) // MSR Device Read-Only
	usageMSRLength = hid.Usage(0x8e<<16 | 0x11) // Track 1 Length; then 2, 3 and JIS
	usageMSRData   = hid.Usage(0x8e<<16 | 0x20) // Track Data
	usageMSRTrack  = hid.Usage(0x8e<<16 | 0x21) // Track 1 Data; then 2, 3 and JIS
)

// maxTracks is the most bytes that a reader of page 8E may have for its tracks.
const maxTracks = 1024

// restOfSwipe is how long the reports of one swipe may take.
const restOfSwipe = 500 * time.Millisecond

// HIDMSR reads card readers of the HID class's own usage page.
func HIDMSR() driver.Driver {
	is := func(a driver.Attributes) bool {
		_, err := hidMSROf(a)
		return err == nil
	}
	return driver.Driver{
		Name: "hid-msr", Role: driver.MSR, Transports: []driver.Transport{driver.HIDRaw, driver.USBFS},
		Doc:   "card readers in HID MSR mode (usage page 8E)",
		Mode:  "the maker's tool calls it HID MSR or OPOS HID; few readers have it, most of them built into keyboards and terminals",
		Beep:  "the reader: usage page 8E has no signal that the host could give",
		Claim: is, Adopt: is,
		Open: func(a driver.Attributes, _ driver.Settings, rules tid.Rules) (driver.Decoder, error) {
			l, err := hidMSROf(a)
			if err != nil {
				return nil, unreadable(err)
			}
			return &hidMSRDecoder{hidMSR: l, reader: msr.Reader{Rules: rules}}, nil
		},
	}
}

// hidMSR is where lengths and data of the tracks are: of 1 to 3 and JIS. Count 0:
// the reader has none.
type hidMSR struct {
	descriptor   hid.Descriptor
	length, data [4]hid.Slot
	all          hid.Slot // Track Data: the tracks one behind the other, as long as their lengths say
	reports      []uint8  // the reports that make a swipe
}

func hidMSROf(a driver.Attributes) (l hidMSR, err error) {
	if l.descriptor, err = descriptorOf(a); err != nil {
		return l, err
	}
	if !l.descriptor.Application(usageMSR) {
		return l, errors.New("its report descriptor has no card reader (usage 8E:01): is it in HID MSR mode?")
	}
	size := 0
	for i := range l.data {
		l.length[i], _ = l.descriptor.Input(usageMSR, usageMSRLength+hid.Usage(i))
		l.data[i], _ = l.descriptor.Input(usageMSR, usageMSRTrack+hid.Usage(i))
		size += l.data[i].Count
	}
	if size == 0 {
		l.all, _ = l.descriptor.Input(usageMSR, usageMSRData)
		size = l.all.Count
	}
	return l, l.check(size)
}

func (l *hidMSR) check(size int) error {
	switch {
	case size == 0:
		return errors.New("its report descriptor has no track data (usages 8E:20 to 24)")
	case size > maxTracks:
		return fmt.Errorf("its report descriptor has %d bytes of track data, and a card no more than 300", size)
	case l.all.Count > 0 && l.length[0].Count+l.length[1].Count+l.length[2].Count == 0:
		return errors.New("its report descriptor has track data in one piece (usage 8E:20) and no lengths (usages 8E:11 to 13)")
	}
	for _, s := range append(l.data[:], l.all) {
		if s.Count > 0 && (s.Size != 8 || s.Offset%8 != 0) {
			return errors.New("its report descriptor has track data that are no bytes")
		}
	}
	l.reports = l.reportsOf()
	return nil
}

// reportsOf gives the reports in which something of a track is.
func (l *hidMSR) reportsOf() (ids []uint8) {
	var seen [256]bool
	for _, s := range append(append(l.length[:len(l.length):len(l.length)], l.data[:]...), l.all) {
		if s.Count > 0 && !seen[s.Report] {
			seen[s.Report] = true
			ids = append(ids, s.Report)
		}
	}
	return ids
}

// hidMSRDecoder puts the reports of a swipe together.
type hidMSRDecoder struct {
	hidMSR
	reader  msr.Reader
	got     [256]bool // the reports of the swipe so far
	waiting int       // how many of them
	last    time.Time
	lengths [4]int // -1: the reader has sent none
	buf     [maxTracks]byte
	filled  [4]int // how many bytes of each track were sent
	text    [3][maxTrack + 1]byte
}

func (d *hidMSRDecoder) Deadline() time.Time {
	if d.waiting == 0 {
		return time.Time{}
	}
	return d.last.Add(restOfSwipe)
}

// Expire ends a swipe of which not all reports came: a reader may send those of
// empty tracks, or not.
func (d *hidMSRDecoder) Expire(now time.Time, emit driver.Emit) {
	if d.waiting > 0 && !now.Before(d.Deadline()) {
		d.finish(emit)
	}
}

func (d *hidMSRDecoder) Decode(r driver.Read, emit driver.Emit) {
	defer clear(r.Data)
	id, data := d.descriptor.Split(r.Data)
	if !d.ours(id) {
		return
	}
	if d.got[id] { // of the next swipe
		d.finish(emit)
	}
	if d.waiting == 0 {
		d.lengths = [4]int{-1, -1, -1, -1}
	}
	d.got[id], d.last = true, r.At
	d.waiting++
	d.take(id, data)
	if d.waiting == len(d.reports) {
		d.finish(emit)
	}
}

func (d *hidMSRDecoder) ours(id uint8) bool {
	for _, have := range d.reports {
		if have == id {
			return true
		}
	}
	return false
}

// take copies what a report has of tracks.
func (d *hidMSRDecoder) take(id uint8, data []byte) {
	at := 0
	for i, s := range d.data {
		if s.Count > 0 && s.Report == id {
			d.filled[i] = copy(d.buf[at:at+s.Count], s.Bytes(data))
		}
		at += s.Count
		if l := d.length[i]; l.Count > 0 && l.Report == id {
			if v, ok := l.Value(data, 0); ok {
				d.lengths[i] = int(v)
			}
		}
	}
	if d.all.Count > 0 && d.all.Report == id {
		d.filled[0] = copy(d.buf[:d.all.Count], d.all.Bytes(data))
	}
}

// finish gives the swipe of the reports so far.
func (d *hidMSRDecoder) finish(emit driver.Emit) {
	tracks := d.separate()
	if d.all.Count > 0 {
		tracks = d.cut()
	}
	d.characters(&tracks)
	emit(swiped(d.last, d.reader.ReadFields(tracks, "")))
	clear(d.buf[:])
	d.got, d.waiting, d.filled = [256]bool{}, 0, [4]int{}
}

// characters makes characters of tracks that are the bits of the stripe, as the
// usage tables have them. Most readers send characters all the same.
func (d *hidMSRDecoder) characters(tracks *[4]msr.Field) {
	for i := range d.text {
		if t := &tracks[i]; isBits(t.Data) {
			t.Data, t.Failed = msr.Stripe(t.Data, i+1, d.text[i][:])
		}
	}
}

// isBits reports whether a track is no text.
func isBits(track []byte) bool {
	track = bytes.TrimRight(track, "\x00\r\n")
	return bytes.ContainsFunc(track, func(c rune) bool { return c < ' ' || c > '~' })
}

// separate gives tracks that have a usage each. Without a length, a track ends
// with its last byte that is not 0.
func (d *hidMSRDecoder) separate() (tracks [4]msr.Field) {
	at := 0
	for i, s := range d.data {
		field := d.buf[at : at+d.filled[i]]
		at += s.Count
		n := d.lengths[i]
		if d.length[i].Count == 0 {
			n = len(field)
		}
		if n > len(field) || n < 0 && len(field) > 0 {
			tracks[i].Failed = msr.CodeLength
		} else {
			tracks[i].Data = field[:max(n, 0)]
		}
	}
	return tracks
}

// cut gives tracks that stand one behind the other. Behind a length that cannot
// be, nothing is certain.
func (d *hidMSRDecoder) cut() (tracks [4]msr.Field) {
	rest := d.buf[:d.filled[0]]
	for i, n := range d.lengths {
		n = max(n, 0)
		if n > len(rest) {
			tracks[i].Failed = msr.CodeLength
			rest = nil
			continue
		}
		tracks[i].Data, rest = rest[:n], rest[n:]
	}
	return tracks
}
