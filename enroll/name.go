package enroll

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Role says what a program may do.
type Role string

// Roles.
const (
	Lane    Role = "lane"    // posd: one checkout lane
	POSMain Role = "posmain" // posmaind: the POS main computer of a shop
	Central Role = "central" // centrald: the central computer system
)

// ParseRole reads a role.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case Lane, POSMain, Central:
		return r, nil
	}
	return "", fmt.Errorf("unknown role %q: want lane, posmain or central", s)
}

// Name says who holds a certificate. A lane has all four fields, the POS main
// computer no Lane, central neither Shop nor Lane.
type Name struct {
	Tenant string // the retailer
	Shop   string
	Role   Role
	Lane   string
}

// isPart reports whether s can be a part of a name: up to 63 letters, digits,
// dots, underscores and hyphens, the first of them a letter or digit.
func isPart(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !alnum && (i == 0 || strings.IndexByte("._-", c) < 0) {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

// Check says what is wrong with a name, if anything: a part is missing, too many
// or has characters other than letters, digits, '.', '_' and '-'.
func (n Name) Check() error {
	if _, err := ParseRole(string(n.Role)); err != nil {
		return err
	}
	for _, p := range []struct {
		name, value string
		wanted      bool
	}{
		{"tenant", n.Tenant, true},
		{"shop", n.Shop, n.Role != Central},
		{"lane", n.Lane, n.Role == Lane},
	} {
		switch {
		case !p.wanted && p.value != "":
			return fmt.Errorf("role %s has no %s, but %q is given", n.Role, p.name, p.value)
		case p.wanted && p.value == "":
			return fmt.Errorf("role %s needs a %s", n.Role, p.name)
		case p.wanted && !isPart(p.value):
			return fmt.Errorf("bad %s %q: want 1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit", p.name, p.value)
		}
	}
	return nil
}

// URI is the name as a certificate carries it, a URI subject alternative name:
// hhid://TENANT/SHOP/lane/LANE, hhid://TENANT/SHOP/posmain or
// hhid://TENANT/central.
func (n Name) URI() *url.URL {
	parts := []string{n.Shop, string(n.Role), n.Lane}
	return &url.URL{Scheme: "hhid", Host: n.Tenant, Path: "/" + strings.Trim(strings.Join(parts, "/"), "/")}
}

// String is the text of the URI.
func (n Name) String() string { return n.URI().String() }

// LaneName is "shop/lane", by which EncTIDs and logs name a lane; "" for other
// roles.
func (n Name) LaneName() string {
	if n.Role != Lane {
		return ""
	}
	return n.Shop + "/" + n.Lane
}

// ParseURI reads the text form of a name.
func ParseURI(s string) (Name, error) {
	rest, ok := strings.CutPrefix(s, "hhid://")
	if !ok {
		return Name{}, errors.New(`parse name: it does not begin with "hhid://"`)
	}
	p := strings.Split(rest, "/")
	n := Name{Tenant: p[0]}
	switch len(p) {
	case 2:
		n.Role = Role(p[1])
	case 3:
		n.Shop, n.Role = p[1], Role(p[2])
	case 4:
		n.Shop, n.Role, n.Lane = p[1], Role(p[2]), p[3]
	default:
		return Name{}, fmt.Errorf("parse name %q: want hhid://TENANT/SHOP/lane/LANE, hhid://TENANT/SHOP/posmain or hhid://TENANT/central", s)
	}
	if err := n.Check(); err != nil {
		return Name{}, fmt.Errorf("parse name %q: %v", s, err)
	}
	return n, nil
}

// Matches reports whether n has every field that want has; empty fields of want
// match anything.
func (n Name) Matches(want Name) bool {
	same := func(have, want string) bool { return want == "" || have == want }
	return same(n.Tenant, want.Tenant) && same(n.Shop, want.Shop) &&
		same(string(n.Role), string(want.Role)) && same(n.Lane, want.Lane)
}
