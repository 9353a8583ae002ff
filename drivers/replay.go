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

// Outcome is what a driver makes of a recording.
type Outcome struct {
	Driver   string
	Events   []driver.Event
	Commands []driver.Command // what it said to the device
	Unlikely bool             // what was read does not look like that of its devices
	Err      error            // it cannot read the device, or not with these settings
}

// Replay gives what a driver makes of a recording, in the way a live device is
// read. With Auto it tries the drivers of the table that claim the device and
// find the recording fitting, in order, and takes the first that makes sense of
// all of it; where there is none, the one to which the least makes no sense. An
// error makes no sense, and neither does a label of unknown symbology.
//
// Beside the driver's settings, a recording may set the rules by which numbers
// are read, as the configuration names them: country, payment_cards,
// loyalty.issuer and loyalty.patterns (one pattern).
func Replay(rec recording.Recording, name string) (Outcome, error) {
	p, err := newPlayer(rec)
	if err != nil {
		return Outcome{}, err
	}
	if name == Auto {
		return p.auto()
	}
	d, err := Find(name)
	switch t := driver.Transport(rec.Transport); {
	case err != nil:
		return Outcome{}, err
	case t == "":
		p.attributes.Transport = d.Transports[0]
	case !d.Reads(t):
		return Outcome{}, fmt.Errorf("driver %s reads %s, and this is a recording of %s", d.Name, d.Transports[0], t)
	}
	o := p.play(d)
	return o, o.Err
}

// ReplayEach gives what each driver makes of a recording that could be of its
// device, in the order of the table. A setting that a driver does not know is
// not given to it.
func ReplayEach(rec recording.Recording) ([]Outcome, error) {
	p, err := newPlayer(rec)
	if err != nil {
		return nil, err
	}
	var all []Outcome
	for _, d := range Table() {
		if p.claimed(d) {
			each := p
			each.settings = p.settings.Known(d)
			all = append(all, each.play(d))
		}
	}
	return all, nil
}

// Analyse gives what each driver makes of what a source sent, in the order of
// the table. It keeps nothing of the reads.
func Analyse(s Source, reads []driver.Read, rules tid.Rules) []Outcome {
	var all []Outcome
	for _, d := range Table() {
		p := player{s.Attributes, s.Settings.Known(d), rules, reads}
		if p.claimed(d) {
			all = append(all, p.play(d))
		}
	}
	return all
}

// player plays a recording to drivers.
type player struct {
	attributes driver.Attributes
	settings   driver.Settings
	rules      tid.Rules
	reads      []driver.Read
}

func newPlayer(rec recording.Recording) (p player, err error) {
	p.attributes = attributesOf(rec)
	p.reads = readsOf(rec)
	p.settings, p.rules, err = splitSettings(rec.Settings)
	return p, err
}

func (p player) claimed(d driver.Driver) bool {
	return d.Reads(p.attributes.Transport) && d.Claim(p.attributes)
}

func (p player) auto() (Outcome, error) {
	if p.attributes.Transport == "" {
		return Outcome{}, errors.New("the recording has no transport header: add one, or name the driver")
	}
	var best *Outcome
	var refused []error
	for _, d := range Table() {
		if !p.claimed(d) {
			continue
		}
		o := p.play(d)
		if o.Unlikely {
			continue
		}
		if o.Err != nil {
			refused = append(refused, o.Err)
			continue
		}
		if best == nil || o.senseless() < best.senseless() {
			best = &o
		}
		if best.senseless() == 0 {
			break
		}
	}
	switch {
	case best != nil:
		return *best, nil
	case refused != nil:
		return Outcome{}, errors.Join(refused...)
	}
	return Outcome{}, fmt.Errorf("no driver claims this device on %s", p.attributes.Transport)
}

// Understood reports whether the driver made sense of everything.
func (o Outcome) Understood() bool {
	return o.Err == nil && !o.Unlikely && len(o.Events) > 0 && o.senseless() == 0
}

// senseless counts what a driver made no sense of.
func (o Outcome) senseless() (n int) {
	for _, e := range o.Events {
		if e.Failed() || e.Symbology == scanner.Unknown {
			n++
		}
	}
	return n
}

func (p player) play(d driver.Driver) (o Outcome) {
	o.Driver, o.Events = d.Name, []driver.Event{}
	o.Unlikely = d.Fits != nil && !d.Fits(p.reads)
	if o.Err = p.settings.Check(d); o.Err != nil {
		return o
	}
	var dec driver.Decoder
	if dec, o.Err = d.Open(p.attributes, p.settings, p.rules); o.Err != nil {
		return o
	}
	feed := func(r driver.Read) {
		driver.Feed(dec, r, o.take)
		if talker, ok := dec.(driver.Talker); ok {
			o.Commands = append(o.Commands, talker.Commands()...)
		}
	}
	last := origin()
	feed(driver.Read{At: last})
	for _, r := range p.reads {
		// Decoders may clear what they read, and another may have to read it too.
		data := bytes.Clone(r.Data)
		feed(driver.Read{At: r.At, Data: data})
		clear(data)
	}
	o.flush(dec)
	return o
}

// flush ends what was begun at the end of a recording.
func (o *Outcome) flush(dec driver.Decoder) {
	for range 3 { // a decoder may hold two lines
		if due := dec.Deadline(); !due.IsZero() {
			dec.Expire(due, o.take)
		}
	}
}

func (o *Outcome) take(r driver.Reading) {
	o.Events = append(o.Events, r.Event(origin()))
	r.Swipe.Wipe()
}

// origin is when recordings begin.
func origin() time.Time { return time.Unix(0, 0).UTC() }

// readsOf gives what a device sent. An entry of evdev is a read of one event.
func readsOf(rec recording.Recording) (reads []driver.Read) {
	for _, e := range rec.Entries {
		data := e.Data
		if rec.Transport == recording.Evdev {
			data = e.Event.Append(nil)
		}
		if !e.ToDevice {
			reads = append(reads, driver.Read{At: origin().Add(e.At), Data: data})
		}
	}
	return reads
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
