// Package config reads posd.toml, the configuration of a lane.
//
// It is strict: a key that is not known, a value that cannot be meant, and a
// key that is missing are errors, and all of them are told at once, each with
// file, line, column and key. What belongs to other packages (countries,
// issuers, drivers and their settings) is checked by functions of the caller.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"time"

	"posd/gs1"
	"posd/identity"
)

// DefaultPath is where posd looks for its configuration.
const DefaultPath = "/etc/posd/posd.toml"

// DefaultSocket is where posd listens if the configuration does not say.
const DefaultSocket = "/run/posd/posd.sock"

// maxSize is the longest configuration that is read, in bytes.
const maxSize = 1 << 20

// Config is what posd.toml says.
type Config struct {
	StateDir     string // journal, credentials and keys of central
	Country      string // of the shop, ISO 3166-1 alpha-2
	PaymentCards bool   // numbers of payment cards are read
	API          API
	Posmain      Posmain
	Central      Central
	Basket       Basket
	Labels       Labels
	Loyalty      Loyalty
	Discover     bool // read also what is certainly a scanner, reader or keypad and has no [[device]]
	Devices      []Device
}

// API is the [api] table.
type API struct {
	Socket  string
	Metrics string // HOST:PORT that metrics are served at, over HTTP; "" for the socket alone
}

// Posmain is the [posmain] table.
type Posmain struct {
	URL string // of the shop's POS main computer; "" where there is none yet
}

// Central is the [central] table. Central's address comes from enrolment.
type Central struct{ Timeout time.Duration }

// Basket is the [basket] table.
type Basket struct {
	OpenByPOS      bool // open_by = "pos"
	AbandonAfter   time.Duration
	AnonymousAfter time.Duration
	HoldFor        time.Duration
	KeepFor        time.Duration
	CloseGuard     time.Duration
	SameItemWindow time.Duration   // 0: two codes of one item are two lines
	Priority       []identity.Kind // first to last, without repetition
	CloseLabels    []string
}

// Labels is the [labels] table.
type Labels struct {
	RandomWeight []gs1.Pattern // no number fits two
}

// Loyalty is the [loyalty] table.
type Loyalty struct {
	Issuer   string
	Patterns []*regexp.Regexp // anchored: each matches whole numbers
}

// Device is a [[device]] table: one of Port and ID is set. Settings holds every
// key that is not one of the others, for the driver.
type Device struct {
	Name      string
	Role      string
	Driver    string
	Port      string
	ID        string
	Transport string // usbfs, or empty
	Disabled  bool
	Line      string
	Settings  map[string]string
}

// Checks are what only other packages know. A nil function takes anything.
type Checks struct {
	Country func(code string) bool
	Issuer  func(issuer string) error
	ID      func(id string) error
	// Device checks a device's role, driver, line and settings. rest is the
	// whole configuration without its devices.
	Device func(d Device, rest Config) error
}

// Error is one thing that is wrong.
type Error struct {
	File      string
	Line, Col int // from 1
	Key       string
	Reason    string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s:%d:%d: ", e.File, e.Line, e.Col)
	if e.Key != "" {
		text += e.Key + ": "
	}
	return text + e.Reason
}

// Load reads the file at path.
func Load(path string, checks Checks) (Config, error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Config{}, fmt.Errorf("read the configuration: %w: write it, or name another with --config", err)
	case err != nil:
		return Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(path, text, checks)
}

// Parse reads the text of a configuration; name is the file's, for errors. An
// error holds one *Error for each thing that is wrong, in the file's order.
func Parse(name string, text []byte, checks Checks) (Config, error) {
	d, err := readDocument(name, text)
	if err != nil {
		return Config{}, err
	}
	c := Config{
		StateDir:     d.path("state_dir", "/var/lib/posd"),
		Country:      d.text("country", ""),
		PaymentCards: d.paymentCards(),
		API:          API{Socket: d.socket("api.socket", DefaultSocket), Metrics: d.listen("api.metrics")},
		Posmain:      Posmain{URL: d.address("posmain.url")},
		Central:      Central{Timeout: d.span("central.timeout", 800*time.Millisecond, 10*time.Millisecond, 10*time.Second)},
		Basket:       d.basket(),
		Labels:       d.labels(),
		Loyalty:      d.loyalty(checks),
		Discover:     d.flag("discover", true),
	}
	d.country(c.Country, checks)
	c.Devices = d.devices(c, checks)
	d.unknown()
	if err := d.err(); err != nil {
		return Config{}, err
	}
	return c, nil
}
