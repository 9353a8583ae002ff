package systemd

import (
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const rulesFile = "../udev/70-posd.rules"

// term is one KEY{attribute}OP"value" of a rule.
type term struct{ key, attribute, op, value string }

// readRules parses the rules as udev does: terms with commas between, a rule a
// line, a backslash joining lines.
func readRules(t *testing.T) [][]term {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	one := regexp.MustCompile(`^([A-Z]+)(?:\{([^{}"]+)\})?(==|!=|\+=|-=|:=|=)"([^"]*)"$`)
	var rules [][]term
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", "")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var rule []term
		for part := range strings.SplitSeq(line, ", ") {
			m := one.FindStringSubmatch(part)
			if m == nil {
				t.Fatalf("%q in %q is not KEY OP \"VALUE\"", part, line)
			}
			rule = append(rule, term{m[1], m[2], m[3], m[4]})
		}
		rules = append(rules, rule)
	}
	return rules
}

func TestRulesAreSyntax(t *testing.T) {
	number, err := strconv.Atoi(path.Base(rulesFile)[:2])
	if err != nil || number <= 60 || number >= 73 {
		t.Errorf("%s: the number must be after 60 (60-serial.rules tells what a serial port is) and before 73 (73-seat-late.rules gives access by seat)", rulesFile)
	}
	ops := map[string]string{ // what udev allows to be matched (m), assigned (a), added (+) and removed (-)
		"ACTION": "m", "SUBSYSTEM": "m", "SUBSYSTEMS": "m", "KERNEL": "m", "ENV": "ma+", "TAG": "m+-a",
		"GROUP": "a", "MODE": "a", "SYMLINK": "m+a", "IMPORT": "a", "TEST": "m", "ATTR": "ma", "GOTO": "a", "LABEL": "a",
	}
	kind := map[string]string{"==": "m", "!=": "m", "=": "a", "+=": "+", "-=": "-"}
	labels := map[string]int{}
	rules := readRules(t)
	for i, rule := range rules {
		for _, p := range rule {
			if p.key == "LABEL" {
				labels[p.value] = i
			}
			if !strings.Contains(ops[p.key], kind[p.op]) || kind[p.op] == "" {
				t.Errorf("udev has no %s%s", p.key, p.op)
			}
			if (p.attribute != "") != (p.key == "ENV" || p.key == "IMPORT" || p.key == "ATTR") {
				t.Errorf("%s{%s}: an attribute too many or too few", p.key, p.attribute)
			}
		}
	}
	for i, rule := range rules {
		for _, p := range rule {
			if to, ok := labels[p.value]; p.key == "GOTO" && (!ok || to <= i) {
				t.Errorf("GOTO=%q leads nowhere further down", p.value)
			}
		}
	}
}

// TestMakers looks at the ids that are matched.
func TestMakers(t *testing.T) {
	generic := map[string]string{"0403": "6001", "067b": "2303", "1a86": "7523", "10c4": "ea60"}
	seen := map[string]bool{}
	for _, rule := range readRules(t) {
		for _, p := range rule {
			if p.attribute != "ID_VENDOR_ID" {
				continue
			}
			if !regexp.MustCompile(`^[0-9a-f]{4}$`).MatchString(p.value) {
				t.Errorf("maker %q: udev compares with four lower-case hexadecimal digits", p.value)
			}
			if generic[p.value] != "" {
				t.Errorf("maker %s makes converters for general use: what hangs on one cannot be known", p.value)
			}
			if seen[p.value] {
				t.Errorf("maker %s stands here twice", p.value)
			}
			seen[p.value] = true
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d makers: %v", len(seen), slices.Sorted(maps.Keys(seen)))
	}
}

// device is what udev knows of a device when it comes to these rules, and what
// they make of it.
type device struct {
	action, subsystem, kernel string
	env                       map[string]string
	adopted                   bool // what posd udev-properties says
	group, mode               string
	links, tags, awake        []string
}

// apply does to d what udev would. usb_id and path_id have run for it already.
func (d *device) apply(t *testing.T, rules [][]term) {
	t.Helper()
	fields := map[string]string{"ACTION": d.action, "SUBSYSTEM": d.subsystem, "SUBSYSTEMS": "usb", "KERNEL": d.kernel, "TEST": "power/control"}
	skip := ""
next:
	for _, rule := range rules {
		if skip != "" && (rule[0].key != "LABEL" || rule[0].value != skip) {
			continue
		}
		skip = ""
		for _, p := range rule {
			if p.op != "==" && p.op != "!=" {
				continue
			}
			got, known := fields[p.key]
			switch {
			case p.key == "ENV":
				got = d.env[p.attribute]
			case !known:
				t.Fatalf("this test does not know %s", p.key)
			}
			if matches(t, p.value, got) != (p.op == "==") {
				continue next
			}
		}
		for _, p := range rule {
			skip += d.assign(p)
		}
	}
}

func matches(t *testing.T, patterns, got string) bool {
	t.Helper()
	for pattern := range strings.SplitSeq(patterns, "|") {
		ok, err := path.Match(pattern, got)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return true
		}
	}
	return false
}

// assign does what one term says and gives the label that it goes to.
func (d *device) assign(p term) string {
	switch p.key + p.op {
	case "GOTO=":
		return p.value
	case "ENV=":
		d.env[p.attribute] = p.value
	case "IMPORT=":
		if p.attribute == "program" && d.adopted {
			d.env["ID_POS_DEVICE"] = "1"
		}
	case "ATTR=":
		d.awake = append(d.awake, p.attribute+"="+p.value)
	case "GROUP=":
		d.group = p.value
	case "MODE=":
		d.mode = p.value
	case "TAG+=":
		d.tags = append(d.tags, p.value)
	case "TAG-=":
		d.tags = slices.DeleteFunc(d.tags, func(tag string) bool { return tag == p.value })
	case "SYMLINK+=":
		d.links = append(d.links, substitution().ReplaceAllStringFunc(p.value, func(s string) string { return d.env[s[len("$env{"):len(s)-1]] }))
	}
	return ""
}

func substitution() *regexp.Regexp { return regexp.MustCompile(`\$env\{\w+\}`) }

func TestRules(t *testing.T) {
	rules := readRules(t)
	for _, c := range []struct {
		name, subsystem, kernel, vendor, product string
		ours                                     bool
	}{
		{"Honeywell Vuquest", "hidraw", "hidraw3", "0c2e", "0b61", true},
		{"Honeywell Vuquest as a serial port", "tty", "ttyACM0", "0c2e", "0b6a", true},
		{"Hand Held Products imager", "tty", "ttyACM0", "0536", "01ca", true},
		{"Hand Held Products computer", "tty", "ttyUSB0", "0536", "01a0", false},
		{"Intermec scanner", "tty", "ttyACM0", "067e", "0803", true},
		{"Intermec computer", "tty", "ttyACM0", "067e", "1001", false},
		{"Datalogic Gryphon", "tty", "ttyACM1", "05f9", "4204", true},
		{"Datalogic Gryphon D120", "hidraw", "hidraw0", "080c", "0300", true},
		{"Zebra scanner", "hidraw", "hidraw0", "05e0", "1300", true},
		{"Zebra scanner as a serial port", "tty", "ttyACM0", "05e0", "1701", true},
		{"Zebra computer", "tty", "ttyUSB0", "05e0", "2000", false},
		{"NCR scanner", "hidraw", "hidraw0", "0404", "0202", true},
		{"NCR card reader", "hidraw", "hidraw0", "0404", "0328", true},
		{"NCR keyboard", "hidraw", "hidraw0", "0404", "0320", false},
		{"MagTek", "hidraw", "hidraw0", "0801", "0002", true},
		{"ID TECH", "hidraw", "hidraw0", "0acd", "2010", true},
		{"ID TECH converter", "tty", "ttyUSB0", "0acd", "0300", false},
		{"Access-IS", "hidraw", "hidraw0", "0db5", "013b", true},
		{"Newland", "hidraw", "hidraw0", "1eab", "0110", true},
		{"Opticon", "tty", "ttyACM0", "065a", "0009", true},
		{"FTDI", "tty", "ttyUSB0", "0403", "6001", false},
		{"Prolific", "tty", "ttyUSB0", "067b", "2303", false},
		{"WCH", "tty", "ttyUSB0", "1a86", "7523", false},
		{"Silicon Labs", "tty", "ttyUSB0", "10c4", "ea60", false},
		{"a console", "tty", "tty1", "", "", false},
		{"a port on the board", "tty", "ttyS0", "", "", false},
		{"a disk of a scanner's maker", "block", "sda", "0c2e", "0001", false},
		{"a scanner that is a keyboard", "input", "event4", "0c2e", "0204", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &device{action: "add", subsystem: c.subsystem, kernel: c.kernel, tags: []string{"uaccess"}, env: map[string]string{}}
			if c.vendor != "" {
				d.env = map[string]string{"ID_BUS": "usb", "ID_VENDOR_ID": c.vendor, "ID_MODEL_ID": c.product, "ID_SERIAL": "Maker_Model_S123",
					"ID_USB_INTERFACE_NUM": "01", "ID_PATH": "pci-0000:00:14.0-usb-0:2:1.1"}
			}
			d.apply(t, rules)
			if !c.ours {
				if d.group+d.mode != "" || d.links != nil || !slices.Equal(d.tags, []string{"uaccess"}) || d.env["ID_MM_DEVICE_IGNORE"] != "" {
					t.Errorf("touched: %+v", d)
				}
				return
			}
			if d.group != "posdev" || d.mode != "0660" || !slices.Equal(d.tags, []string{"systemd"}) {
				t.Errorf("group %q, mode %q, tags %q", d.group, d.mode, d.tags)
			}
			if want := []string{"pos/Maker_Model_S123-if01", "pos/by-path/pci-0000:00:14.0-usb-0:2:1.1"}; !slices.Equal(d.links, want) {
				t.Errorf("links %q, want %q", d.links, want)
			}
		})
	}
}

// A device of a maker that nobody knows is one if its descriptor says so.
func TestRulesAskTheDescriptor(t *testing.T) {
	for _, adopted := range []bool{true, false} {
		d := &device{action: "add", subsystem: "hidraw", kernel: "hidraw0", adopted: adopted, env: map[string]string{"ID_VENDOR_ID": "1234", "ID_MODEL_ID": "0001"}}
		if d.apply(t, readRules(t)); (d.group == "posdev") != adopted {
			t.Errorf("adopted %t: group %q", adopted, d.group)
		}
	}
}

// TestRulesOnTheUSBDevice looks at the device itself, above its interfaces.
func TestRulesOnTheUSBDevice(t *testing.T) {
	rules := readRules(t)
	for vendor, ignore := range map[string]string{"05f9": "1", "0403": ""} {
		d := &device{action: "add", subsystem: "usb", kernel: "1-2", env: map[string]string{"DEVTYPE": "usb_device", "ID_VENDOR_ID": vendor, "ID_SERIAL": "x"}}
		d.apply(t, rules)
		if d.env["ID_MM_DEVICE_IGNORE"] != ignore {
			t.Errorf("maker %s: ID_MM_DEVICE_IGNORE=%q, want %q", vendor, d.env["ID_MM_DEVICE_IGNORE"], ignore)
		}
		if (d.awake != nil) != (ignore == "1") {
			t.Errorf("maker %s: %q", vendor, d.awake)
		}
		if d.group+d.mode != "" || d.links != nil {
			t.Errorf("maker %s: the usbfs node was given away: %+v", vendor, d)
		}
	}
	gone := &device{action: "remove", subsystem: "hidraw", kernel: "hidraw0", env: map[string]string{"ID_BUS": "usb", "ID_VENDOR_ID": "05f9"}}
	if gone.apply(t, rules); gone.mode != "" {
		t.Error("a device that goes was given a mode")
	}
}
