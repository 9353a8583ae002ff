// Package recording holds what a device sent, as text that a person can read
// and write: the captures that drivers are tested by, and that technicians send
// in.
//
//	# source: constructed from ISO/IEC 15424, ]E0
//	# transport: tty
//	# line: 9600-8N1
//	# set: terminator=CR ids=aim
//	0.000 < 5D 45 30 30 30 33 36 30 30 30 32 39 31 34 35 32
//	0.004 < 0D
//	0.010 > 06
//
// Headers come first: source and transport (tty, hidraw, evdev, usbfs), and
// where they apply vendor and product (hex, of USB), name, line, descriptor (the
// HID report descriptor, hex) and set, which gives the settings of the device
// as the configuration would and may be repeated; a value with spaces stands in
// double quotes. Other headers are kept, and may be repeated too. Then comes one line a read or write:
// seconds since the start, < from or > to the device (>> for a feature report of
// HID), and the bytes in hex; for evdev the type, code and value of an input
// event in decimal. Blank lines, and lines that begin with # and hold no header,
// are comments.
package recording

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The transports that a recording can be of.
const (
	TTY    = "tty"
	HIDRaw = "hidraw"
	Evdev  = "evdev"
	USBFS  = "usbfs"
)

// Recording is what went over one device node.
type Recording struct {
	Source          string // where it comes from
	Transport       string
	Vendor, Product uint16
	Name            string
	Line            string
	Descriptor      []byte
	Settings        map[string]string
	More            []Header // headers without a meaning here, in order
	Entries         []Entry
}

// Header is a line of the head.
type Header struct{ Key, Value string }

// Entry is one read or write.
type Entry struct {
	At       time.Duration // since the start
	ToDevice bool
	Feature  bool // to the device, as a feature report of HID
	Data     []byte
	Event    Event // of evdev, instead of Data
}

// Text gives the recording in its text form, which Parse reads.
func (r Recording) Text() []byte {
	var b bytes.Buffer
	header := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "# %s: %s\n", key, value)
		}
	}
	header("source", r.Source)
	header("transport", r.Transport)
	if r.Vendor != 0 || r.Product != 0 {
		header("vendor", fmt.Sprintf("%04x", r.Vendor))
		header("product", fmt.Sprintf("%04x", r.Product))
	}
	header("name", r.Name)
	header("line", r.Line)
	header("descriptor", spaced(r.Descriptor))
	for _, h := range r.More {
		header(h.Key, h.Value)
	}
	for _, key := range slices.Sorted(maps.Keys(r.Settings)) {
		header("set", key+"="+quoted(r.Settings[key]))
	}
	for _, e := range r.Entries {
		b.WriteString(r.entry(e))
	}
	return b.Bytes()
}

func (r Recording) entry(e Entry) string {
	way := "<"
	switch {
	case e.Feature:
		way = ">>"
	case e.ToDevice:
		way = ">"
	}
	what := spaced(e.Data)
	if r.Transport == Evdev {
		what = fmt.Sprintf("%d %d %d", e.Event.Type, e.Event.Code, e.Event.Value)
	}
	return fmt.Sprintf("%s %s %s\n", seconds(e.At), way, what)
}

// seconds gives a time with three decimals or as many as it needs.
func seconds(d time.Duration) string {
	s := fmt.Sprintf("%d.%09d", d/time.Second, d%time.Second)
	for strings.HasSuffix(s, "0") && len(s)-strings.IndexByte(s, '.') > 4 {
		s = s[:len(s)-1]
	}
	return s
}

func spaced(b []byte) string { return fmt.Sprintf("% X", b) }

func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\"\\") || strconv.Quote(s) != `"`+s+`"` {
		return strconv.Quote(s)
	}
	return s
}

// Error is a mistake in the text of a recording.
type Error struct {
	Line   int
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// MaxBytes is the longest text that Parse reads.
const MaxBytes = 64 << 20

// Parse reads the text of a recording. Mistakes are an *Error.
func Parse(text []byte) (Recording, error) {
	p := parser{r: Recording{Settings: map[string]string{}}, seen: map[string]bool{}}
	if len(text) > MaxBytes {
		return p.r, &Error{1, fmt.Sprintf("a recording has at most %d MB", MaxBytes>>20)}
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // of an editor
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if err := p.line(strings.TrimSpace(string(line))); err != nil {
			return Recording{}, &Error{number, err.Error()}
		}
	}
	if len(p.r.Entries) == 0 {
		return Recording{}, &Error{max(number, 1), "nothing is recorded: a line such as \"0.000 < 41 0D\" is missing"}
	}
	return p.r, nil
}

type parser struct {
	r    Recording
	seen map[string]bool
}

func (p *parser) line(s string) error {
	switch {
	case s == "":
		return nil
	case s[0] != '#':
		return p.entry(s)
	case len(p.r.Entries) > 0:
		return nil // a comment
	}
	key, value, ok := strings.Cut(s[1:], ":")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || key == "" || strings.ContainsAny(key, " \t#") {
		return nil
	}
	return p.header(strings.ToLower(key), value)
}

func (p *parser) header(key, value string) (err error) {
	switch {
	case !slices.Contains([]string{"source", "transport", "vendor", "product", "name", "line", "descriptor", "set"}, key):
		if value != "" { // else it is a comment
			p.r.More = append(p.r.More, Header{key, value})
		}
		return nil
	case value == "":
		return fmt.Errorf("header %s has no value", key)
	case p.seen[key] && key != "set":
		return fmt.Errorf("header %s comes twice", key)
	}
	p.seen[key] = true
	switch key {
	case "set":
		err = p.set(value)
	case "source":
		p.r.Source = value
	case "transport":
		p.r.Transport = strings.ToLower(value)
		if !slices.Contains([]string{TTY, HIDRaw, Evdev, USBFS}, p.r.Transport) {
			err = fmt.Errorf("transport %q is none of tty, hidraw, evdev, usbfs", value)
		}
	case "vendor":
		p.r.Vendor, err = id(value)
	case "product":
		p.r.Product, err = id(value)
	case "name":
		p.r.Name = value
	case "line":
		p.r.Line = value
	case "descriptor":
		p.r.Descriptor, err = unhex(strings.Fields(value))
	}
	return err
}

// id reads a vendor or product id of USB.
func id(s string) (uint16, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(s), "0x"), 16, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no id of USB, such as 0c2e", s)
	}
	return uint16(n), nil
}

// set reads key=value pairs.
func (p *parser) set(s string) error {
	for s != "" {
		key, rest, ok := strings.Cut(s, "=")
		if !ok || key == "" || strings.ContainsAny(key, " \t\"") {
			return fmt.Errorf("%q is not key=value", cut(s))
		}
		value, end := rest, ""
		if quote, err := strconv.QuotedPrefix(rest); err == nil && quote[0] == '"' {
			value, _ = strconv.Unquote(quote)
			end = rest[len(quote):]
		} else if at := strings.IndexAny(rest, " \t"); at >= 0 {
			value, end = rest[:at], rest[at:]
		}
		if s = strings.TrimLeft(end, " \t"); s != "" && s == end {
			return fmt.Errorf("setting %s: a space is missing after its value", key)
		}
		if _, twice := p.r.Settings[key]; twice {
			return fmt.Errorf("setting %s comes twice", key)
		}
		p.r.Settings[key] = value
	}
	return nil
}

func (p *parser) entry(s string) error {
	fields := strings.Fields(s)
	if len(fields) < 2 || !slices.Contains([]string{"<", ">", ">>"}, fields[1]) {
		return fmt.Errorf("%q is neither a header nor \"SECONDS < HEX ...\"", cut(s))
	}
	at, err := span(fields[0])
	if err != nil {
		return err
	}
	if n := len(p.r.Entries); n > 0 && at < p.r.Entries[n-1].At {
		return fmt.Errorf("time goes back, from %s to %s", seconds(p.r.Entries[n-1].At), seconds(at))
	}
	e := Entry{At: at, ToDevice: fields[1] != "<", Feature: fields[1] == ">>"}
	if p.r.Transport == Evdev {
		e.Event, err = event(fields[2:])
	} else {
		e.Data, err = unhex(fields[2:])
	}
	p.r.Entries = append(p.r.Entries, e)
	return err
}

// span reads seconds with up to nine decimals, without the rounding of floats.
func span(s string) (time.Duration, error) {
	whole, part, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseUint(whole, 10, 32)
	nano, err2 := strconv.ParseUint((part + "000000000")[:max(9, len(part))], 10, 64)
	if cmp.Or(err, err2) != nil || len(part) > 9 {
		return 0, fmt.Errorf("%q is no time in seconds, such as 0.125", cut(s))
	}
	return time.Duration(sec)*time.Second + time.Duration(nano), nil
}

func unhex(fields []string) ([]byte, error) {
	if len(fields) == 0 {
		return nil, fmt.Errorf("bytes in hex are missing")
	}
	var all []byte
	for _, f := range fields {
		var err error
		if all, err = hex.AppendDecode(all, []byte(f)); err != nil {
			return nil, fmt.Errorf("bytes are not in hex: %v", err)
		}
	}
	return all, nil
}

func event(fields []string) (Event, error) {
	bad := fmt.Errorf("an input event is type, code and value in decimal")
	if len(fields) != 3 {
		return Event{}, bad
	}
	typ, err1 := strconv.ParseUint(fields[0], 10, 16)
	code, err2 := strconv.ParseUint(fields[1], 10, 16)
	value, err3 := strconv.ParseInt(fields[2], 10, 32)
	if cmp.Or(err1, err2, err3) != nil {
		return Event{}, bad
	}
	return Event{uint16(typ), uint16(code), int32(value)}, nil
}

// cut keeps a mistake from filling the screen.
func cut(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
