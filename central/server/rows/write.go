package rows

import (
	"posd/identity"
	"posd/tid"
)

// Export is a row as an export writes it.
type Export struct {
	HHID           identity.HHID
	Kind           identity.Kind
	DeIdent        [16]byte
	DeIdentVersion int
	OptedOut       bool
	TID            tid.TID // zero: left out
}

// AppendHeadings appends what a file of a format begins with.
func AppendHeadings(dst []byte, f Format, withTIDs bool) []byte {
	if f != CSV {
		return dst
	}
	if dst = append(dst, "hhid,kind,deident_tid,opted_out"...); withTIDs {
		dst = append(dst, ",tid"...)
	}
	return append(dst, '\n')
}

// Append appends a row and the end of its line.
func Append(dst []byte, f Format, e Export, withTIDs bool) []byte {
	if f == CSV {
		return appendCSV(dst, e, withTIDs)
	}
	dst = append(dst, `{"hhid":"`...)
	dst, _ = e.HHID.AppendText(dst)
	dst = append(append(dst, `","kind":"`...), e.Kind...)
	dst = identity.AppendDeIdentTID(append(dst, `","deident_tid":"`...), e.DeIdentVersion, e.DeIdent)
	dst = append(dst, '"')
	if withTIDs {
		dst = append(dst, `,"tid":"`...)
		e.TID.Use(func(digits []byte) { dst = append(dst, digits...) })
		dst = append(dst, '"')
	}
	if e.OptedOut {
		dst = append(dst, `,"opted_out":true`...)
	}
	return append(dst, "}\n"...)
}

func appendCSV(dst []byte, e Export, withTIDs bool) []byte {
	dst, _ = e.HHID.AppendText(dst)
	dst = append(append(append(dst, ','), e.Kind...), ',')
	dst = identity.AppendDeIdentTID(dst, e.DeIdentVersion, e.DeIdent)
	if dst = append(dst, ','); e.OptedOut {
		dst = append(dst, "true"...)
	}
	if withTIDs {
		dst = append(dst, ',')
		e.TID.Use(func(digits []byte) { dst = append(dst, digits...) })
	}
	return append(dst, '\n')
}
