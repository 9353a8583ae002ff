package drivers

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"posd/drivers/driver"
	"posd/drivers/recording"
	"posd/scanner"
	"posd/tid"
)

// Auto is the name that lets Replay choose the driver.
const Auto = "auto"

// Replay gives what a driver makes of a recording, in the way a live device is
// read. With Auto it tries the drivers of the table that claim the device and
// find the recording fitting, in order, and takes the first that makes sense of
// all of it; where there is none, the one to which the least makes no sense. An
// error makes no sense, and neither does a label of unknown symbology.
//
// Beside the driver's settings, a recording may set the rules by which numbers
// are read, as the configuration names them: country, payment_cards,
// loyalty.issuer and loyalty.patterns (one pattern).
func Replay(rec recording.Recording, driver string) ([]driver.Event, error) {
	settings, rules, err := splitSettings(rec.Settings)
	if err != nil {
		return nil, err
	}
	reads, err := readsOf(rec)
	if err != nil {
		return nil, err
	}
	a := attributesOf(rec)
	if driver == Auto {
		return replayAuto(a, settings, rules, reads)
	}
	d, err := Find(driver)
	switch {
	case err != nil:
		return nil, err
	case a.Transport == "":
		a.Transport = d.Transports[0]
	case !d.Reads(a.Transport):
		return nil, fmt.Errorf("driver %s reads %s, and this is a recording of %s", d.Name, d.Transports[0], a.Transport)
	}
	return replay(d, a, settings, rules, reads)
}

func replayAuto(a driver.Attributes, s driver.Settings, rules tid.Rules, reads []driver.Read) ([]driver.Event, error) {
	if a.Transport == "" {
		return nil, errors.New("the recording has no transport header: add one, or name the driver")
	}
	var best []driver.Event
	fewest := -1
	var refused []error
	for _, d := range Table() {
		if !d.Reads(a.Transport) || !d.Claim(a) || d.Fits != nil && !d.Fits(reads) {
			continue
		}
		events, err := replay(d, a, s, rules, reads)
		if err != nil {
			refused = append(refused, err)
			continue
		}
		if n := senseless(events); fewest < 0 || n < fewest {
			best, fewest = events, n
		}
		if fewest == 0 {
			break
		}
	}
	if fewest >= 0 {
		return best, nil
	}
	if refused != nil {
		return nil, errors.Join(refused...)
	}
	return nil, fmt.Errorf("no driver claims this device on %s", a.Transport)
}

func senseless(events []driver.Event) (n int) {
	for _, e := range events {
		if e.Failed() || e.Symbology == scanner.Unknown {
			n++
		}
	}
	return n
}

func replay(d driver.Driver, a driver.Attributes, s driver.Settings, rules tid.Rules, reads []driver.Read) ([]driver.Event, error) {
	if err := s.Check(d); err != nil {
		return nil, err
	}
	dec, err := d.Open(a, s, rules)
	if err != nil {
		return nil, err
	}
	events := []driver.Event{}
	take := func(r driver.Reading) {
		events = append(events, r.Event(origin()))
		r.Swipe.TID.Wipe()
	}
	var last time.Time
	for _, r := range reads {
		// Decoders clear what they read, and another may have to read it too.
		driver.Feed(dec, driver.Read{At: r.At, Data: bytes.Clone(r.Data)}, take)
		last = r.At
	}
	driver.Feed(dec, driver.Read{At: last.Add(time.Hour)}, take)
	return events, nil
}

// origin is when recordings begin.
func origin() time.Time { return time.Unix(0, 0).UTC() }

func readsOf(rec recording.Recording) ([]driver.Read, error) {
	if rec.Transport == recording.Evdev {
		return nil, errors.New("no driver reads evdev")
	}
	var reads []driver.Read
	for _, e := range rec.Entries {
		if !e.ToDevice {
			reads = append(reads, driver.Read{At: origin().Add(e.At), Data: e.Data})
		}
	}
	return reads, nil
}

// splitSettings parts the settings of the device from the rules of the shop.
func splitSettings(all map[string]string) (s driver.Settings, rules tid.Rules, err error) {
	s, rules = maps.Clone(all), tid.Rules{Payment: true, Country: "US", Issuer: "0001"}
	for k, v := range all {
		switch strings.ToLower(k) {
		case "country":
			if rules.Country = strings.ToUpper(v); !tid.KnowsCountry(rules.Country) {
				err = driver.Bad(k, fmt.Errorf("%q is no country whose telephone numbers are known, such as US", v))
			}
		case "payment_cards":
			rules.Payment, err = driver.Settings{k: v}.Flag(k)
		case "loyalty.issuer":
			rules.Issuer = v
			if wrong := tid.CheckIssuer(v); wrong != nil {
				err = driver.Bad(k, wrong)
			}
		case "loyalty.patterns":
			pattern, wrong := regexp.Compile(v)
			if wrong != nil {
				err = driver.Bad(k, wrong)
			}
			rules.Loyalty = append(rules.Loyalty, pattern)
		default:
			continue
		}
		if err != nil {
			return nil, rules, err
		}
		delete(s, k)
	}
	return s, rules, nil
}

// attributesOf gives what a recording says of its device.
func attributesOf(rec recording.Recording) driver.Attributes {
	return driver.Attributes{
		Transport: driver.Transport(rec.Transport), Vendor: rec.Vendor, Product: rec.Product, Name: rec.Name, Descriptor: rec.Descriptor,
	}
}
