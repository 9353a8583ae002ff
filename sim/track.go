package sim

import (
	"fmt"
	"time"

	"posd/msr"
	"posd/tid"
)

// frameSize is room for two tracks, so that building one never moves, and
// leaves behind, card data.
const frameSize = 256

// tracks builds what a reader sends of a card: tracks 1 and 2 of a bank card
// (ISO/IEC 7813) that is good for three years, or track 2 with the number alone
// for a loyalty card that is no bank card. lrc: with the LRC behind each track.
func tracks(number []byte, now time.Time, lrc bool) []byte {
	f := frame{make([]byte, 0, frameSize), lrc}
	if len(number) < 12 || len(number) > 19 || !tid.Luhn(number) {
		f.track(';', "", number, "")
		return append(f.b, '\r')
	}
	tail := fmt.Sprintf("%02d%02d%s%s", (now.Year()+3)%100, now.Month(), "201", "00000000")
	f.track('%', "B", number, "^SHOPPER/TEST^"+tail)
	f.track(';', "", number, "="+tail)
	return append(f.b, '\r')
}

type frame struct {
	b   []byte
	lrc bool
}

func (f *frame) track(start byte, format string, number []byte, rest string) {
	begin := len(f.b)
	f.b = append(f.b, start)
	f.b = append(f.b, format...)
	f.b = append(f.b, number...)
	f.b = append(f.b, rest...)
	f.b = append(f.b, '?')
	if f.lrc {
		f.b = append(f.b, msr.LRC(f.b[begin:]))
	}
}
