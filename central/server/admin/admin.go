// Package admin is the operators' work on central: each command of centrald that
// changes or shows something is one operation here, called by name with JSON.
//
// A running centrald serves the operations at a Unix socket, so that commands need
// neither the database nor its key-encryption key. Where none runs, a command
// serves them to itself (Local) on the database. Whatever changes something is in
// the audit log, in the transaction of the change.
package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posd/central/server"
	"posd/central/server/directory"
	"posd/central/server/erasures"
	"posd/central/server/store"
)

// Central is the central that operators work on. Make one with a Store at least.
type Central struct {
	Store store.Store
	// Keys unwraps central's keys; operations that need none never call it.
	Keys func(context.Context) (*server.Keys, error)
	// Directory gives the directory of the running server, or one that is empty.
	Directory func(context.Context) (*directory.Directory, error)
	LookupDir string // where lookups are logged; "": nowhere
	// Flush, if not nil, has the running server write what it saw of lanes and has
	// not written yet.
	Flush func(context.Context) error
	// Erasures is the ledger of what is erased; without one nothing is.
	Erasures erasures.Ledger
	// Scratch is the folder of files that are too large for memory.
	Scratch string
	// Changed is called after each operation that changed something. It is nil where no
	// server runs.
	Changed func()
	Now     func() time.Time
}

// operations are all that operators can do.
func (c *Central) operations() []operation {
	return []operation{
		does("tokens.create", c.createTokens),
		does("lanes.list", c.machines),
		does("lanes.show", c.machine),
		does("lanes.revoke", c.revoke),
		does("lanes.quarantine", c.quarantine),
		does("alarms.list", c.alarms),
		does("tenants.add", c.addTenant),
		does("tenants.list", c.tenants),
		does("households.list", c.households),
		does("households.show", c.household),
		does("households.link", c.link),
		streams("import", c.importRows),
		pours("export", c.export),
		pours("backup", c.backup),
		does("restore.pairs", c.takePairs),
		does("keys.list", c.keys),
		does("keys.rotate", c.rotate),
		does("keys.retire", c.retire),
		does("keys.destroy", c.destroy),
		does("keys.rewrap", c.rewrap),
		does("households.merge", c.merge),
		does("households.split", c.split),
		does("households.undo", c.undo),
		does("households.ledger", c.ledger),
		does("erase", c.erase),
		does("erase.lift", c.lift),
		does("erase.certificate", c.erasureCertificate),
		streams("keys.mapping", c.mapping),
		does("audit.list", c.audit),
		does("audit.verify", c.verifyAudit),
		streams("audit.lookups", c.lookups),
	}
}

// ErrMisuse says that an operation was called wrongly.
var ErrMisuse = errors.New("wrong call")

// misuse makes an error that is ErrMisuse and says only what format does.
func misuse(format string, args ...any) error { return &misused{fmt.Sprintf(format, args...)} }

type misused struct{ reason string }

func (m *misused) Error() string { return m.reason }

func (m *misused) Is(err error) bool { return err == ErrMisuse }

// act is what the audit log keeps of an operation that is done now.
func (c *Central) act(ctx context.Context, action string, detail any) store.Act {
	return store.Act{At: c.Now().UTC(), Actor: actor(ctx), Action: action, Detail: detail}
}

// changed tells the server, if one runs, that there is something new.
func (c *Central) changed() {
	if c.Changed != nil {
		c.Changed()
	}
}

// tenant gives the retailer called name; with one retailer it need not be named.
func (c *Central) tenant(ctx context.Context, name string) (store.Tenant, error) {
	all, err := c.Store.Tenants(ctx)
	if err != nil {
		return store.Tenant{}, err
	}
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	for _, t := range all {
		if t.Name == name {
			return t, nil
		}
	}
	if name == "" {
		return store.Tenant{}, misuse("this central has several retailers: give --tenant")
	}
	return store.Tenant{}, errors.New("there is no retailer " + name + " in this central")
}
