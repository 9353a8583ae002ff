package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"posd/gs1"
	"posd/identity"
)

// get gives the value of a key and marks the key as known.
func (d *document) get(key string) (v any, ok bool) {
	d.asked[key] = true
	v, ok = d.values[key]
	if _, placed := d.places[key]; !ok && placed {
		d.fail(key, "it must be a value, not a table")
	}
	return v, ok
}

func (d *document) text(key, missing string) string {
	v, ok := d.get(key)
	if !ok {
		return missing
	}
	s, ok := v.(string)
	if !ok || s == "" {
		d.fail(key, "it must be text in quotes")
		return missing
	}
	return s
}

func (d *document) flag(key string, missing bool) bool {
	v, ok := d.get(key)
	if !ok {
		return missing
	}
	on, ok := v.(bool)
	if !ok {
		d.fail(key, "it must be true or false, without quotes")
	}
	return on
}

func (d *document) list(key string) []string {
	v, ok := d.get(key)
	if !ok {
		return nil
	}
	elements, ok := v.([]any)
	texts := make([]string, 0, len(elements))
	for _, e := range elements {
		s, isText := e.(string)
		ok = ok && isText && s != "" && !slices.Contains(texts, s)
		texts = append(texts, s)
	}
	if !ok {
		d.fail(key, `it must be a list of different texts, such as ["one", "two"]`)
		return nil
	}
	return texts
}

func (d *document) span(key string, missing, least, most time.Duration) time.Duration {
	s := d.text(key, "")
	if s == "" {
		return missing
	}
	span, err := time.ParseDuration(s)
	switch {
	case err != nil:
		d.fail(key, "%q is no time span: write a number and a unit (ms, s, m, h), such as %q", s, missing)
	case span < least || span > most:
		d.fail(key, "%s is out of range: it may be %s to %s", s, least, most)
	}
	return span
}

func (d *document) path(key, missing string) string {
	p := d.text(key, missing)
	if !filepath.IsAbs(p) {
		d.fail(key, "%q must begin with /", p)
	}
	return filepath.Clean(p)
}

// maxSocket is the longest path of a Unix socket that Linux takes.
const maxSocket = 107

func (d *document) socket(key, missing string) string {
	p := d.path(key, missing)
	if len(p) > maxSocket {
		d.fail(key, "a path of %d bytes is too long for a socket: %d are the most", len(p), maxSocket)
	}
	return p
}

// listen reads where to listen: HOST:PORT.
func (d *document) listen(key string) string {
	s := d.text(key, "")
	if s == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(s)
	n, wrong := strconv.ParseUint(port, 10, 16)
	if err != nil || wrong != nil || n == 0 || host != "" && net.ParseIP(host) == nil {
		d.fail(key, "%q must be ADDRESS:PORT, such as 127.0.0.1:9478", s)
	}
	return s
}

func (d *document) address(key string) string {
	s := d.text(key, "")
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		d.fail(key, "it is no URL")
	case u.Scheme != "https" || u.Hostname() == "":
		d.fail(key, "%q must be https://HOST or https://HOST:PORT", u.Redacted())
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		d.fail(key, "%q must be https://HOST or https://HOST:PORT, with nothing after it", u.Redacted())
	}
	return s
}

func (d *document) paymentCards() bool {
	const key = "payment_cards"
	v, ok := d.get(key)
	if !ok {
		if _, placed := d.places[key]; !placed {
			d.fail(key, "it is missing: write payment_cards = true or false; there is no default, because a lane that reads card numbers in the clear is in the scope of PCI DSS and somebody has to decide that")
		}
		return false
	}
	on, ok := v.(bool)
	if !ok {
		d.fail(key, "it must be true or false, without quotes")
	}
	return on
}

func (d *document) country(code string, checks Checks) {
	switch {
	case code == "":
		if _, placed := d.places["country"]; !placed {
			d.fail("country", `it is missing: write the shop's country, such as country = "US"; telephone numbers are read as they are dialled there`)
		}
	case checks.Country != nil && !checks.Country(code):
		d.fail("country", "%q is no country whose telephone numbers are known: it must be two capital letters of ISO 3166-1, such as US", code)
	}
}

// sameItemWindow is between what one package takes past a scanner's window, 0.2
// to 0.4 s, and what a fast clerk takes from one item to the next, 0.7 s and
// more.
const sameItemWindow = 500 * time.Millisecond

func (d *document) basket() Basket {
	const day = 24 * time.Hour
	b := Basket{
		AbandonAfter:   d.span("basket.abandon_after", 5*time.Minute, time.Second, day),
		AnonymousAfter: d.span("basket.anonymous_after", 2*time.Minute, time.Second, day),
		HoldFor:        d.span("basket.hold_for", 14*day, time.Minute, 30*day),
		KeepFor:        d.span("basket.keep_for", 14*day, time.Minute, 366*day),
		CloseGuard:     d.span("basket.close_guard", 2*time.Second, time.Millisecond, time.Minute),
		SameItemWindow: d.span("basket.same_item_window", sameItemWindow, 0, 5*time.Second),
		Priority:       d.priority("basket.priority"),
		CloseLabels:    d.list("basket.close_labels"),
	}
	switch by := d.text("basket.open_by", "scan"); by {
	case "scan":
	case "pos":
		b.OpenByPOS = true
	default:
		d.fail("basket.open_by", "%q is neither scan nor pos", by)
	}
	return b
}

// labels reads what the shop's own labels mean.
func (d *document) labels() (l Labels) {
	const key = "labels.random_weight"
	for _, text := range d.list(key) {
		p, err := gs1.ParsePattern(text)
		if err != nil {
			d.fail(key, "%q: %v", text, err)
			continue
		}
		if i := slices.IndexFunc(l.RandomWeight, p.Overlaps); i >= 0 {
			d.fail(key, "a number can fit both %q and %q: write them so that it cannot", l.RandomWeight[i], text)
			continue
		}
		l.RandomWeight = append(l.RandomWeight, p)
	}
	return l
}

func (d *document) priority(key string) []identity.Kind {
	names := d.list(key)
	if names == nil {
		return []identity.Kind{identity.Loyalty, identity.Payment, identity.Phone}
	}
	var kinds []identity.Kind
	for _, name := range names {
		kind, err := identity.ParseKind(name)
		if err != nil {
			d.fail(key, "%q is none of loyalty, payment, phone", name)
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

func (d *document) loyalty(checks Checks) Loyalty {
	l := Loyalty{Issuer: d.text("loyalty.issuer", "")}
	if checks.Issuer != nil && l.Issuer != "" {
		if err := checks.Issuer(l.Issuer); err != nil {
			d.fail("loyalty.issuer", "%v", err)
		}
	}
	for _, text := range d.list("loyalty.patterns") {
		pattern, err := regexp.Compile(text)
		switch {
		case err != nil:
			d.fail("loyalty.patterns", "%v", err)
		case pattern.MatchString(""):
			d.fail("loyalty.patterns", "%q matches anything: every label would be taken for a shopper's number", text)
		default:
			l.Patterns = append(l.Patterns, regexp.MustCompile("^(?:"+text+")$"))
		}
	}
	if _, placed := d.places["loyalty.issuer"]; len(l.Patterns) > 0 && !placed {
		d.fail("loyalty.issuer", "it is missing: loyalty.patterns needs the issuer's four digits")
	}
	return l
}

// setting gives a driver setting as text.
func setting(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	return "", fmt.Errorf("it must be text in quotes, a whole number, true or false")
}
