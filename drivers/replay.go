package drivers

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

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
func Replay(rec recording.Recording, driver string) ([]Event, error) {
	settings, rules, err := splitSettings(rec.Settings)
	if err != nil {
		return nil, err
	}
	reads, err := readsOf(rec)
	if err != nil {
		return nil, err
	}
	a := Attributes{rec.Transport, rec.Vendor, rec.Product, rec.Name, rec.Descriptor}
	if driver == Auto {
		return replayAuto(a, settings, rules, reads)
	}
	d, err := Find(driver)
	switch {
	case err != nil:
		return nil, err
	case a.Transport == "":
		a.Transport = d.Transport
	case a.Transport != d.Transport:
		return nil, fmt.Errorf("driver %s reads %s, and this is a recording of %s", d.Name, d.Transport, a.Transport)
	}
	return replay(d, a, settings, rules, reads)
}

func replayAuto(a Attributes, s Settings, rules tid.Rules, reads []Read) ([]Event, error) {
	if a.Transport == "" {
		return nil, errors.New("the recording has no transport header: add one, or name the driver")
	}
	var best []Event
	fewest := -1
	var refused []error
	for _, d := range Table() {
		if !d.Claim(a) || d.Fits != nil && !d.Fits(reads) {
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

func senseless(events []Event) (n int) {
	for _, e := range events {
		if e.Failed() || e.Symbology == scanner.Unknown {
			n++
		}
	}
	return n
}

func replay(d Driver, a Attributes, s Settings, rules tid.Rules, reads []Read) ([]Event, error) {
	if err := s.check(d); err != nil {
		return nil, err
	}
	dec, err := d.Open(a, s, rules)
	if err != nil {
		return nil, err
	}
	events := []Event{}
	take := func(readings []Reading) {
		for _, r := range readings {
			events = append(events, r.Event(origin()))
			if r.Swipe != nil {
				r.Swipe.TID.Wipe()
			}
		}
	}
	var last time.Time
	for _, r := range reads {
		// Decoders clear what they read, and another may have to read it too.
		take(feed(dec, Read{r.At, append([]byte(nil), r.Data...)}))
		last = r.At
	}
	take(feed(dec, Read{At: last.Add(time.Hour)}))
	return events, nil
}

// origin is when recordings begin.
func origin() time.Time { return time.Unix(0, 0).UTC() }

func readsOf(rec recording.Recording) ([]Read, error) {
	if rec.Transport == recording.Evdev {
		return nil, errors.New("no driver reads evdev")
	}
	var reads []Read
	for _, e := range rec.Entries {
		if !e.ToDevice {
			reads = append(reads, Read{origin().Add(e.At), e.Data})
		}
	}
	return reads, nil
}

// splitSettings parts the settings of the device from the rules of the shop.
func splitSettings(all map[string]string) (s Settings, rules tid.Rules, err error) {
	s, rules = maps.Clone(all), tid.Rules{Payment: true, Country: "US", Issuer: "0001"}
	for k, v := range all {
		switch strings.ToLower(k) {
		case "country":
			if rules.Country = strings.ToUpper(v); !tid.KnowsCountry(rules.Country) {
				err = bad(k, fmt.Errorf("%q is no country whose telephone numbers are known, such as US", v))
			}
		case "payment_cards":
			rules.Payment, err = Settings{k: v}.flag(k)
		case "loyalty.issuer":
			rules.Issuer = v
			if wrong := tid.CheckIssuer(v); wrong != nil {
				err = bad(k, wrong)
			}
		case "loyalty.patterns":
			pattern, wrong := regexp.Compile(v)
			if wrong != nil {
				err = bad(k, wrong)
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
