// Package walls holds the house's walls: which package may depend on which.
package walls

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath string
	Standard   bool
	CgoFiles   []string
	Deps       []string
	Doc        string
	GoFiles    []string
}

func list(t *testing.T) map[string]pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,CgoFiles,Deps,Doc,GoFiles", "posd/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	pkgs := map[string]pkg{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		pkgs[p.ImportPath] = p
	}
	return pkgs
}

func ours(path string) bool { return strings.HasPrefix(path, "posd/") }

func TestWalls(t *testing.T) {
	pkgs := list(t)
	for _, wall := range []struct {
		who, never, because string
	}{
		{"posd/basket", "posd/tid", "what is sent to the shop must not be able to hold a card number"},
		{"posd/journal", "posd/tid", "the lane's database must not be able to hold a card number"},
		{"posd/posmain", "posd/tid", "the shop's computer must not be able to hold a card number"},
		{"posd/posmain", "posd/enctid", "the shop's computer has no use for an EncTID"},
		{"posd/basket", "posd/enctid", "an EncTID never travels with a basket"},
		{"posd/central", "posd/tid", "the client passes on EncTIDs without looking inside"},
		{"posd/lane", "posd/drivers", "the loop knows frames, not devices"},
		{"posd/lane", "posd/journal", "the loop says what it needs of a journal and takes any"},
		{"posd/lane", "posd/central/server", "a lane must not carry the code that opens EncTIDs"},
		{"posd/lane", "posd/posmain/server", "a lane is not the POS main computer"},
		{"posd/cmd/posd", "posd/central/server", "a lane must not carry the code that opens EncTIDs"},
		{"posd/cmd/posd", "posd/central/server/opener", "a lane must not carry the code that opens EncTIDs"},
		{"posd/cmd/posmaind", "posd/central/server", "the shop must not carry the code that opens EncTIDs"},
		{"posd/cmd/posmaind", "posd/tid", "the shop's computer must not be able to hold a card number"},
		{"posd/drivers", "posd/lane", "data runs one way: a device never waits for the loop"},
		{"posd/drivers", "posd/sim", "the daemon does not know that a device is simulated"},
		{"posd/drivers/driver", "posd/drivers/node", "a driver is data and pure functions: it opens nothing"},
		{"posd/drivers/barcode", "posd/drivers/node", "a driver is data and pure functions: it opens nothing"},
		{"posd/drivers/card", "posd/drivers/node", "a driver is data and pure functions: it opens nothing"},
		{"posd/drivers/keypad", "posd/drivers/node", "a driver is data and pure functions: it opens nothing"},
		{"posd/drivers/node", "posd/drivers/driver", "a transport moves bytes, and knows no driver"},
		{"posd/drivers/tty", "posd/drivers/driver", "a transport moves bytes, and knows no driver"},
		{"posd/drivers/hidraw", "posd/drivers/driver", "a transport moves bytes, and knows no driver"},
		{"posd/drivers/evdev", "posd/drivers/driver", "a transport moves bytes, and knows no driver"},
		{"posd/drivers/usbfs", "posd/drivers/driver", "a transport moves bytes, and knows no driver"},
		{"posd/drivers/keyboard", "posd/drivers/node", "what keys mean is told without a keyboard"},
		{"posd/drivers/barcode", "posd/drivers/hotplug", "a driver is told of a device, and looks for none"},
		{"posd/drivers/hotplug", "posd/drivers/driver", "finding devices needs no knowledge of what they are"},
		{"posd/technician", "posd/lane", "a technician's tools work without a lane"},
		{"posd/lane/api", "posd/drivers", "the API tells of devices, and knows none"},
		{"posd/scanner", "posd/tid", "decoding a label needs no secret"},
		{"posd/cmd/posd", "posd/docs/api", "checking against the API documents is for tests"},
		{"posd/cmd/centrald", "posd/docs/api", "checking against the API documents is for tests"},
		{"posd/cmd/posmaind", "posd/docs/api", "checking against the API documents is for tests"},
		{"posd/cmd/centrald", "posd/drivers", "central reads no devices"},
		{"posd/cmd/posmaind", "posd/central/server/opener", "the shop must not carry the code that opens EncTIDs"},
	} {
		p, ok := pkgs[wall.who]
		if !ok {
			t.Errorf("%s does not exist: mend this list", wall.who)
		}
		if slices.Contains(p.Deps, wall.never) {
			t.Errorf("%s depends on %s: %s", wall.who, wall.never, wall.because)
		}
	}
}

func TestPosmainServerNeverSeesATID(t *testing.T) {
	for _, dep := range list(t)["posd/posmain/server"].Deps {
		if dep == "posd/tid" || dep == "posd/central/server/opener" {
			t.Errorf("posd/posmain/server depends on %s: the shop's computer must not be able to hold a card number", dep)
		}
	}
}

func TestOnlyTheOpenerOpens(t *testing.T) {
	for path, p := range list(t) {
		if ours(path) && slices.Contains(p.Deps, "posd/central/server/opener") && !strings.HasPrefix(path, "posd/central/server") && path != "posd/cmd/centrald" {
			t.Errorf("%s depends on posd/central/server/opener: only central opens EncTIDs", path)
		}
	}
}

func TestLeavesStandAlone(t *testing.T) {
	pkgs := list(t)
	for _, leaf := range []string{"posd/gs1", "posd/tid", "posd/identity", "posd/problem", "posd/strictjson", "posd/traceparent"} {
		for _, dep := range pkgs[leaf].Deps {
			if !pkgs[dep].Standard {
				t.Errorf("%s depends on %s: a leaf stands on the standard library alone, so that it can be read and trusted by itself", leaf, dep)
			}
		}
	}
}

func TestCgoOnlyWhereItMustBe(t *testing.T) {
	const sqlite, usb, pgx = "github.com/mattn/go-sqlite3", "github.com/karalabe/usb", "github.com/jackc/pgx/v5"
	pkgs := list(t)
	for path, p := range pkgs {
		if !ours(path) {
			continue
		}
		if len(p.CgoFiles) > 0 {
			t.Errorf("%s uses cgo: device code must build without a C compiler", path)
		}
		if slices.Contains(p.Deps, usb) && path != "posd/drivers/usbfs/reader" && path != "posd/cmd/posd" {
			t.Errorf("%s reaches karalabe/usb past posd/drivers/usbfs/reader: its Close is not safe, so that it runs in a process of its own", path)
		}
		if slices.Contains(p.Deps, sqlite) && !slices.Contains(p.Deps, "posd/sqlitedb") && path != "posd/sqlitedb" {
			t.Errorf("%s reaches SQLite past posd/sqlitedb: pragmas, migrations and the one writer are made once, there", path)
		}
		if slices.Contains(p.Deps, pgx) && !slices.Contains(p.Deps, "posd/postgresdb") && !strings.HasPrefix(path, "posd/postgresdb") {
			t.Errorf("%s reaches PostgreSQL past posd/postgresdb: durability, turns and time-outs are made once, there", path)
		}
	}
	if slices.Contains(pkgs["posd/cmd/posd"].Deps, pgx) {
		t.Error("posd/cmd/posd depends on PostgreSQL: a lane has a file of its own")
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for path, p := range list(t) {
		if ours(path) && len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", path)
		}
	}
}
