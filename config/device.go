package config

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// devices reads the [[device]] tables.
func (d *document) devices(rest Config, checks Checks) []Device {
	d.asked["device"] = true
	if _, single := d.places["device"]; single && !d.has("device.0") && !d.emptyList("device") {
		d.fail("device", "write [[device]], with two brackets on each side: there may be several")
		return nil
	}
	sound := len(d.errs) == 0 // a driver is not asked about half a configuration
	var devices []Device
	for i := 0; d.has("device." + strconv.Itoa(i)); i++ {
		devices = append(devices, d.device("device."+strconv.Itoa(i)))
	}
	d.distinct(devices)
	for i, dev := range devices {
		table := "device." + strconv.Itoa(i)
		if d.id(table, dev, checks) && checks.Device != nil && sound {
			d.checkDevice(table, dev, func(dev Device) error { return checks.Device(dev, rest) })
		}
	}
	return devices
}

func (d *document) has(key string) bool {
	_, ok := d.places[key]
	return ok
}

func (d *document) emptyList(key string) bool {
	list, ok := d.values[key].([]any)
	return ok && len(list) == 0
}

// deviceKeys are those that are no settings of a driver.
var deviceKeys = [...]string{"name", "role", "driver", "port", "id", "transport", "enabled", "line"}

func (d *document) device(table string) Device {
	dev := Device{
		Name:      d.text(table+".name", ""),
		Role:      d.text(table+".role", ""),
		Driver:    d.text(table+".driver", ""),
		Port:      d.text(table+".port", ""),
		ID:        d.text(table+".id", ""),
		Transport: d.text(table+".transport", ""),
		Disabled:  !d.flag(table+".enabled", true),
		Line:      d.text(table+".line", ""),
		Settings:  map[string]string{},
	}
	if !d.has(table + ".name") {
		d.fail(table+".name", "it is missing")
	}
	switch port, id := d.has(table+".port"), d.has(table+".id"); {
	case !port && !id:
		d.fail(table+".port", "it is missing: say which device it is, by its port or by its id (posd devices tells ids)")
	case port && id:
		d.fail(table+".id", "there is a port already: one of them must tell which device it is")
	}
	if dev.Transport != "" && dev.Transport != "usbfs" {
		d.fail(table+".transport", "%q is not usbfs: leave it out, unless the device is to be taken from its kernel driver", dev.Transport)
	}
	if !d.has(table+".role") && !d.has(table+".driver") {
		d.fail(table+".role", "it is missing: say what the device is, scanner, msr or keypad")
	}
	if dev.Port != "" && !filepath.IsAbs(dev.Port) {
		d.fail(table+".port", "%q must begin with /, such as /dev/ttyS0 or /dev/serial/by-id/...", dev.Port)
	}
	for _, key := range d.settings(table) {
		v, ok := d.get(table + "." + key)
		if !ok {
			continue
		}
		text, err := setting(v)
		if err != nil {
			d.fail(table+"."+key, "%v", err)
		}
		dev.Settings[key] = text
	}
	return dev
}

// settings gives the keys of a device's table that are its driver's, sorted.
func (d *document) settings(table string) []string {
	var keys []string
	for path := range d.places {
		key, ok := strings.CutPrefix(path, table+".")
		if ok && !strings.Contains(key, ".") && !slices.Contains(deviceKeys[:], key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// id reports whether a device has a good id, or none.
func (d *document) id(table string, dev Device, checks Checks) bool {
	if dev.ID == "" || checks.ID == nil {
		return true
	}
	err := checks.ID(dev.ID)
	if err != nil {
		d.fail(table+".id", "%v", err)
	}
	return err == nil
}

// distinct fails for names and ports that two devices share, and for ids that
// two of one role do.
func (d *document) distinct(devices []Device) {
	names, ports, ids := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i, dev := range devices {
		table := "device." + strconv.Itoa(i)
		port := filepath.Clean(dev.Port)
		if dev.Name != "" && names[dev.Name] {
			d.fail(table+".name", "another device is called %q already", dev.Name)
		}
		if dev.Port != "" && ports[port] {
			d.fail(table+".port", "another device has %s already", port)
		}
		id := dev.Role + " " + strings.ToLower(dev.ID)
		if dev.ID != "" && ids[id] {
			d.fail(table+".id", "another device has %s already", dev.ID)
		}
		names[dev.Name], ports[port], ids[id] = true, true, true
	}
}

// checkDevice has a driver look at a device. The key that an error is about is
// found by trying each alone.
func (d *document) checkDevice(table string, dev Device, check func(Device) error) {
	if dev.Name == "" || dev.Port+dev.ID == "" || dev.Role+dev.Driver == "" || check(dev) == nil {
		return
	}
	bare := dev
	bare.Line, bare.Settings = "", nil
	if err := check(bare); err != nil {
		key := table + ".role"
		if dev.Driver != "" {
			key = table + ".driver"
		}
		d.fail(key, "%v", err)
		return
	}
	before := len(d.errs)
	try := func(key string, one Device) {
		if err := check(one); err != nil {
			d.fail(table+"."+key, "%v", err)
		}
	}
	with := bare
	with.Line = dev.Line
	try("line", with)
	for _, key := range slices.Sorted(maps.Keys(dev.Settings)) {
		with := bare
		with.Settings = map[string]string{key: dev.Settings[key]}
		try(key, with)
	}
	if err := check(dev); len(d.errs) == before && err != nil {
		d.fail(table, "%v", err)
	}
}
