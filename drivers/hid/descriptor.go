// Package hid reads HID report descriptors (Device Class Definition for HID
// 1.11, section 6.2.2) and the reports they describe. It trusts neither: a
// descriptor that lies gives an error or fields that cannot be read, never
// bytes from beyond a report.
package hid

import (
	"fmt"
)

// Usage is a usage page and a usage on it, as page<<16 | usage.
type Usage uint32

// String gives the usage as page:usage in hex.
func (u Usage) String() string { return fmt.Sprintf("%04x:%04x", uint32(u)>>16, uint32(u)&0xffff) }

// Kind is which way a report goes.
type Kind uint8

// The kinds of reports.
const (
	Input   Kind = iota // from the device
	Output              // to the device
	Feature             // both ways, on request
)

// Field is one main item: Count values of Size bits from bit Offset of the
// report's data, which begins after the report id.
type Field struct {
	Kind        Kind
	Report      uint8 // report id; 0 if the device has none
	Offset      int   // bits
	Size        int   // bits of one value
	Count       int   // values
	Constant    bool  // padding
	Array       bool  // the values are numbers of usages (section 6.2.2.5)
	Usages      []Usage
	Collections []Usage // those that hold it, outermost first
}

// Descriptor is what a report descriptor says.
type Descriptor struct {
	Fields   []Field
	Numbered bool // every report begins with its id
}

// What the kernel also refuses to go beyond, or less.
const (
	MaxDescriptor = 4096      // bytes: HID_MAX_DESCRIPTOR_SIZE
	maxDepth      = 64        // collections in collections, and pushes
	maxUsages     = 1024      // of one field; ranges of keyboards have 256
	maxReportBits = 16384 * 8 // HID_MAX_BUFFER_SIZE
	maxFields     = 4096
)

// The items (section 6.2.2.4 to 6.2.2.8), as tag<<2 | type.
const (
	itemInput         = 0x8<<2 | 0
	itemOutput        = 0x9<<2 | 0
	itemFeature       = 0xb<<2 | 0
	itemCollection    = 0xa<<2 | 0
	itemEndCollection = 0xc<<2 | 0
	itemUsagePage     = 0x0<<2 | 1
	itemReportSize    = 0x7<<2 | 1
	itemReportID      = 0x8<<2 | 1
	itemReportCount   = 0x9<<2 | 1
	itemPush          = 0xa<<2 | 1
	itemPop           = 0xb<<2 | 1
	itemUsage         = 0x0<<2 | 2
	itemUsageMin      = 0x1<<2 | 2
	itemUsageMax      = 0x2<<2 | 2
	longItem          = 0xfe
)

// globals are the items that stay until they are changed.
type globals struct {
	page        uint32
	size, count int
	report      uint8
}

// usageItem is a Usage, Usage Minimum or Usage Maximum before its page is
// known: the page is the one in force at the main item.
type usageItem struct {
	value uint32
	paged bool // four bytes: brings its page
}

type parser struct {
	d           Descriptor
	g           globals
	stack       []globals
	usages      []usageItem
	low         *usageItem
	collections []Usage
	bits        map[reportKey]int
}

type reportKey struct {
	kind Kind
	id   uint8
}

// Parse reads a report descriptor. Errors name the offset of the item.
func Parse(b []byte) (Descriptor, error) {
	p := parser{bits: map[reportKey]int{}}
	if len(b) > MaxDescriptor {
		return p.d, fmt.Errorf("parse report descriptor: %d bytes are more than %d", len(b), MaxDescriptor)
	}
	for at := 0; at < len(b); {
		next, err := p.item(b, at)
		if err != nil {
			return Descriptor{}, fmt.Errorf("parse report descriptor: at byte %d: %v", at, err)
		}
		at = next
	}
	if len(p.collections) > 0 {
		return Descriptor{}, fmt.Errorf("parse report descriptor: %d collections are not ended", len(p.collections))
	}
	return p.d, nil
}

// item reads one item and gives the offset of the next.
func (p *parser) item(b []byte, at int) (int, error) {
	prefix := b[at]
	if prefix == longItem {
		if at+3 > len(b) || at+3+int(b[at+1]) > len(b) {
			return 0, fmt.Errorf("a long item goes beyond the end")
		}
		return at + 3 + int(b[at+1]), nil
	}
	size := int(prefix & 3)
	if size == 3 {
		size = 4
	}
	next := at + 1 + size
	if next > len(b) {
		return 0, fmt.Errorf("an item goes beyond the end")
	}
	var value uint32
	for i := range size {
		value |= uint32(b[at+1+i]) << (8 * i)
	}
	return next, p.apply(int(prefix>>2), value, size)
}

func (p *parser) apply(item int, value uint32, size int) error {
	switch item {
	case itemInput:
		return p.main(Input, value)
	case itemOutput:
		return p.main(Output, value)
	case itemFeature:
		return p.main(Feature, value)
	case itemCollection:
		return p.open()
	case itemEndCollection:
		return p.close()
	case itemUsage:
		return p.addUsage(usageItem{value, size == 4})
	case itemUsageMin:
		p.low = &usageItem{value, size == 4}
	case itemUsageMax:
		return p.addRange(usageItem{value, size == 4})
	default:
		return p.global(item, value)
	}
	return nil
}

func (p *parser) global(item int, value uint32) error {
	switch item {
	case itemUsagePage:
		if value > 0xffff {
			return fmt.Errorf("usage page %#x is beyond 16 bits", value)
		}
		p.g.page = value
	case itemReportSize:
		if value > 256 {
			return fmt.Errorf("a value of %d bits", value)
		}
		p.g.size = int(value)
	case itemReportCount:
		if value > maxReportBits {
			return fmt.Errorf("a field of %d values", value)
		}
		p.g.count = int(value)
	case itemReportID:
		if value == 0 || value > 255 {
			return fmt.Errorf("report id %d is not in 1 to 255", value)
		}
		p.g.report, p.d.Numbered = uint8(value), true
	case itemPush:
		if len(p.stack) == maxDepth {
			return fmt.Errorf("more than %d pushes", maxDepth)
		}
		p.stack = append(p.stack, p.g)
	case itemPop:
		if len(p.stack) == 0 {
			return fmt.Errorf("a pop without a push")
		}
		p.g, p.stack = p.stack[len(p.stack)-1], p.stack[:len(p.stack)-1]
	}
	return nil // limits and units, which no driver needs
}

func (p *parser) addUsage(u usageItem) error {
	if len(p.usages) == maxUsages {
		return fmt.Errorf("more than %d usages in a field", maxUsages)
	}
	p.usages = append(p.usages, u)
	return nil
}

func (p *parser) addRange(high usageItem) error {
	if p.low == nil {
		return fmt.Errorf("a usage maximum without a minimum")
	}
	low := *p.low
	p.low = nil
	// Of a wide range, such as all of the consumer page, what is beyond is of no use
	// to anybody here, and no reason to refuse the device.
	for v := low.value; v <= high.value && len(p.usages) < maxUsages; v++ {
		p.usages = append(p.usages, usageItem{v, low.paged})
	}
	return nil
}

// takeUsages gives the local usages their page, and forgets them.
func (p *parser) takeUsages() []Usage {
	usages := make([]Usage, len(p.usages))
	for i, u := range p.usages {
		usages[i] = Usage(u.value)
		if !u.paged {
			usages[i] |= Usage(p.g.page << 16)
		}
	}
	p.usages, p.low = p.usages[:0], nil
	return usages
}

func (p *parser) open() error {
	if len(p.collections) == maxDepth {
		return fmt.Errorf("more than %d collections in one another", maxDepth)
	}
	var usage Usage
	if usages := p.takeUsages(); len(usages) > 0 {
		usage = usages[0]
	}
	// A copy: fields keep the slice that was in force when they were met.
	p.collections = append(p.collections[:len(p.collections):len(p.collections)], usage)
	return nil
}

func (p *parser) close() error {
	if len(p.collections) == 0 {
		return fmt.Errorf("the end of a collection that was not begun")
	}
	p.collections = p.collections[:len(p.collections)-1]
	p.takeUsages()
	return nil
}

func (p *parser) main(kind Kind, flags uint32) error {
	key := reportKey{kind, p.g.report}
	f := Field{
		Kind: kind, Report: p.g.report, Offset: p.bits[key], Size: p.g.size, Count: p.g.count,
		Constant: flags&1 != 0, Array: flags&2 == 0, Usages: p.takeUsages(), Collections: p.collections,
	}
	if p.bits[key] += f.Size * f.Count; p.bits[key] > maxReportBits {
		return fmt.Errorf("report %d is longer than %d bits", p.g.report, maxReportBits)
	}
	if len(p.d.Fields) == maxFields {
		return fmt.Errorf("more than %d fields", maxFields)
	}
	p.d.Fields = append(p.d.Fields, f)
	return nil
}
