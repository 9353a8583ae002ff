package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"posd/identity"
)

// checks stand in for the packages that know countries, issuers and drivers.
func checks() Checks {
	return Checks{
		Country: func(code string) bool { return code == "US" || code == "DE" },
		Issuer: func(issuer string) error {
			if len(issuer) != 4 {
				return errors.New("the loyalty issuer must be 4 digits")
			}
			return nil
		},
		ID: func(id string) error {
			if len(id) < 9 {
				return errors.New("no id")
			}
			return nil
		},
		Device: func(d Device, rest Config) error {
			switch {
			case rest.Country != "US" && rest.Country != "DE":
				return errors.New("no rules for that country")
			case d.Driver != "" && d.Driver != "serial-scanner":
				return fmt.Errorf("no driver %q", d.Driver)
			case d.Line != "" && d.Line != "9600-8N1":
				return fmt.Errorf("bad line")
			case d.Settings["terminator"] == "bad":
				return fmt.Errorf("bad terminator")
			case d.Settings["ack"] == "zz":
				return fmt.Errorf("bad ack")
			case d.Settings["prefix"] != "" && d.Settings["ids"] != "":
				return fmt.Errorf("prefix does not go with ids")
			}
			return nil
		},
	}
}

const least = "payment_cards = true\ncountry = \"US\"\n"

func TestDefaults(t *testing.T) {
	c, err := Parse("posd.toml", []byte(least), checks())
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		StateDir: "/var/lib/posd", Country: "US", PaymentCards: true,
		Discover: true,
		API:      API{Socket: "/run/posd/posd.sock"},
		Central:  Central{800 * time.Millisecond},
		Basket: Basket{
			AbandonAfter: 5 * time.Minute, AnonymousAfter: 2 * time.Minute, CloseGuard: 2 * time.Second, SameItemWindow: 500 * time.Millisecond,
			HoldFor: 336 * time.Hour, KeepFor: 336 * time.Hour,
			Priority: []identity.Kind{identity.Loyalty, identity.Payment, identity.Phone},
		},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestEverything(t *testing.T) {
	c, err := Parse("posd.toml", []byte(`
state_dir = "/srv/lane/"
country = "DE"
payment_cards = false
discover = false
api.socket = "/tmp/x.sock"
api.metrics = "[::1]:9478"
posmain = { url = "https://main.shop:8443" }
[central]
timeout = "1.5s"
[basket]
open_by = "pos"
abandon_after = "10m"
anonymous_after = "30s"
hold_for = "24h"
keep_for = "48h"
close_guard = "500ms"
same_item_window = "0s"
priority = ["phone", "loyalty"]
close_labels = ["CLOSE", "4006381333931"]
[labels]
random_weight = ["2IIIIIVPP.PPC", "29IIIIIWW.WWWC kg"]
[loyalty]
issuer = "0007"
patterns = ["29|2900[0-9]{9}"]
[[device]]
name = "front"
role = "scanner"
driver = "serial-scanner"
port = "/dev/ttyS0"
line = "9600-8N1"
terminator = "CRLF"
gap = 100
lrc = true
[[device]]
name = "keys"
role = "keypad"
port = "/dev/ttyS1"
[[device]]
name = "hand"
role = "scanner"
id = "0c2e:0b61@1-1.2"
transport = "usbfs"
enabled = false
`), checks())
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Basket; !got.OpenByPOS || got.AbandonAfter != 10*time.Minute || got.AnonymousAfter != 30*time.Second || got.HoldFor != 24*time.Hour ||
		got.KeepFor != 48*time.Hour || got.CloseGuard != 500*time.Millisecond || got.SameItemWindow != 0 || fmt.Sprint(got.Priority, got.CloseLabels) != "[phone loyalty] [CLOSE 4006381333931]" {
		t.Errorf("basket = %+v", got)
	}
	if c.StateDir != "/srv/lane" || c.PaymentCards || c.Discover || c.API != (API{"/tmp/x.sock", "[::1]:9478"}) || c.Posmain.URL != "https://main.shop:8443" || c.Central.Timeout != 1500*time.Millisecond {
		t.Errorf("%+v", c)
	}
	if got := fmt.Sprint(c.Labels.RandomWeight); got != "[2IIIIIVPP.PPC 29IIIIIWW.WWWC kg]" {
		t.Errorf("labels = %s", got)
	}
	if p := c.Loyalty.Patterns[0]; c.Loyalty.Issuer != "0007" || !p.MatchString("2900123456789") || p.MatchString("290012345678901") {
		t.Errorf("loyalty = %+v", c.Loyalty)
	}
	want := []Device{
		{Name: "front", Role: "scanner", Driver: "serial-scanner", Port: "/dev/ttyS0", Line: "9600-8N1", Settings: map[string]string{"terminator": "CRLF", "gap": "100", "lrc": "true"}},
		{Name: "keys", Role: "keypad", Port: "/dev/ttyS1", Settings: map[string]string{}},
		{Name: "hand", Role: "scanner", ID: "0c2e:0b61@1-1.2", Transport: "usbfs", Disabled: true, Settings: map[string]string{}},
	}
	if !reflect.DeepEqual(c.Devices, want) {
		t.Errorf("devices = %+v", c.Devices)
	}
}

func TestBadInput(t *testing.T) {
	const device = "[[device]]\nname = \"a\"\nrole = \"scanner\"\nport = \"/dev/ttyS0\"\n"
	for _, tc := range []struct{ text, want string }{
		// what is not TOML
		{"payment_cards = true\ncountry = US\n", "posd.toml:2:11: "},
		{"payment_cards = true\npayment_cards = true\n", "posd.toml:2:1: "},
		{"[api]\n[api]\n", "posd.toml:2:"},
		{"\xff", "posd.toml:1:1: "},
		// what is missing
		{"country = \"US\"", "posd.toml:1:1: payment_cards: it is missing: write payment_cards = true or false; there is no default, because"},
		{"payment_cards = true", "posd.toml:1:1: country: it is missing"},
		{least + "[[device]]\nname = \"a\"\nrole = \"msr\"\n", "posd.toml:3:3: port: it is missing"},
		{least + "[[device]]\nport = \"/dev/a\"\nname = \"x\"", "posd.toml:3:3: role: it is missing"},
		{least + "[loyalty]\npatterns = [\"29[0-9]{11}\"]", "posd.toml:3:2: loyalty.issuer: it is missing"},
		// what is unknown
		{least + "coutry = \"US\"", "posd.toml:3:1: coutry: there is no such key: do you mean country?"},
		{least + "socket = \"/x\"", "posd.toml:3:1: socket: there is no such key: socket belongs in the table [api]"},
		{least + "[baskets]\n", "posd.toml:3:2: baskets: there is no such key"},
		{least + "[basket]\nopenby = \"pos\"", "posd.toml:4:1: basket.openby: there is no such key: do you mean basket.open_by?"},
		{least + "\"basket.open_by\" = \"pos\"", `posd.toml:3:1: "basket.open_by": there is no such key`},
		{least + "x = [{a = 1}]", "posd.toml:3:1: x: there is no such key"},
		// what cannot be meant
		{"payment_cards = \"true\"\ncountry = \"US\"", "posd.toml:1:1: payment_cards: it must be true or false, without quotes"},
		{"payment_cards = true\ncountry = \"us\"", `posd.toml:2:1: country: "us" is no country`},
		{least + "state_dir = \"var\"", `posd.toml:3:1: state_dir: "var" must begin with /`},
		{least + "state_dir = 3", "posd.toml:3:1: state_dir: it must be text in quotes"},
		{least + "[state_dir]\n", "posd.toml:3:2: state_dir: it must be a value, not a table"},
		{least + "api.socket = \"/" + strings.Repeat("x", 120) + "\"", "posd.toml:3:5: api.socket: a path of 121 bytes is too long"},
		{least + "api.metrics = \"9478\"", `posd.toml:3:5: api.metrics: "9478" must be ADDRESS:PORT`},
		{least + "api.metrics = \"lane:9478\"", `posd.toml:3:5: api.metrics: "lane:9478" must be ADDRESS:PORT`},
		{least + "[posmain]\nurl = \"http://x\"", `posd.toml:4:1: posmain.url: "http://x" must be https://HOST`},
		{least + "[posmain]\nurl = \"https://x/y\"", "posd.toml:4:1: posmain.url: "},
		{least + "[posmain]\nurl = \"https://u:secret@x\"", "posd.toml:4:1: posmain.url: \"https://u:xxxxx@x\""},
		{least + "[central]\ntimeout = \"800\"", `posd.toml:4:1: central.timeout: "800" is no time span`},
		{least + "[central]\ntimeout = \"1h\"", `posd.toml:4:1: central.timeout: 1h is out of range`},
		{least + "[basket]\nhold_for = \"1440h\"", `posd.toml:4:1: basket.hold_for: 1440h is out of range`},
		{least + "[basket]\nabandon_after = \"-5m\"", `posd.toml:4:1: basket.abandon_after: -5m is out of range`},
		{least + "[basket]\nopen_by = \"hand\"", `posd.toml:4:1: basket.open_by: "hand" is neither scan nor pos`},
		{least + "[basket]\npriority = [\"loyalty\", \"iris\"]", `posd.toml:4:1: basket.priority: "iris" is none of`},
		{least + "[basket]\npriority = [\"loyalty\", \"loyalty\"]", `posd.toml:4:1: basket.priority: it must be a list of different texts`},
		{least + "[basket]\nclose_labels = [3]", `posd.toml:4:1: basket.close_labels: it must be a list`},
		{least + "[basket]\nclose_labels = \"x\"", `posd.toml:4:1: basket.close_labels: it must be a list`},
		{least + "[basket]\nsame_item_window = \"1m\"", `posd.toml:4:1: basket.same_item_window: 1m is out of range: it may be 0s to 5s`},
		{least + "[labels]\nrandom_weight = [\"2IIIII\"]", `posd.toml:4:1: labels.random_weight: "2IIIII": it has 6 positions`},
		{least + "[labels]\n\nrandom_weight = [\n\"2IIIIIPPP.PPC\",\n\"02IIIIIPP.PPPC\"]", `posd.toml:5:1: labels.random_weight: a number can fit both "2IIIIIPPP.PPC" and "02IIIIIPP.PPPC"`},
		{least + "[labels]\nrandom_weight = \"2IIIIIPPP.PPC\"", `posd.toml:4:1: labels.random_weight: it must be a list`},
		{least + "random_weight = [\"2IIIIIPPP.PPC\"]", "posd.toml:3:1: random_weight: there is no such key: random_weight belongs in the table [labels]"},
		{least + "[loyalty]\nissuer = \"12\"", "posd.toml:4:1: loyalty.issuer: the loyalty issuer must be 4 digits"},
		{least + "[loyalty]\nissuer = \"0001\"\npatterns = [\"(\"]", "posd.toml:5:1: loyalty.patterns: error parsing regexp"},
		{least + "[loyalty]\nissuer = \"0001\"\npatterns = [\"[0-9]*\"]", "posd.toml:5:1: loyalty.patterns: \"[0-9]*\" matches anything"},
		{least + "[device]\nname = \"a\"", "posd.toml:3:2: device: write [[device]]"},
		{least + "device = 3", "posd.toml:3:1: device: write [[device]]"},
		{least + device + strings.Replace(device, "ttyS0", "ttyS1", 1), `posd.toml:8:1: name: another device is called "a" already`},
		{least + device + strings.Replace(device, `"a"`, `"b"`, 1), "posd.toml:10:1: port: another device has /dev/ttyS0 already"},
		{least + strings.Replace(device, "/dev/", "", 1), `posd.toml:6:1: port: "ttyS0" must begin with /`},
		{least + device + "terminator = \"bad\"", "posd.toml:7:1: terminator: bad terminator"},
		{least + device + "terminator = \"LF\"\nack = \"zz\"", "posd.toml:8:1: ack: bad ack"},
		{least + device + "line = \"x\"", "posd.toml:7:1: line: bad line"},
		{least + device + "driver = \"x\"", `posd.toml:7:1: driver: no driver "x"`},
		{least + device + "prefix = \"x\"\nids = \"aim\"", "posd.toml:3:3: device: prefix does not go with ids"},
		{least + "discover = 1", "posd.toml:3:1: discover: it must be true or false"},
		{least + device + "id = \"0c2e:0b61\"", "posd.toml:7:1: id: there is a port already"},
		{least + device + "enabled = \"no\"", "posd.toml:7:1: enabled: it must be true or false"},
		{least + device + "transport = \"hid\"", `posd.toml:7:1: transport: "hid" is not usbfs`},
		{least + strings.Replace(device, `port = "/dev/ttyS0"`, `id = "0c2e"`, 1), "posd.toml:6:1: id: no id"},
		{least + strings.ReplaceAll(device+strings.Replace(device, `"a"`, `"b"`, 1), `port = "/dev/ttyS0"`, `id = "0c2e:0b61"`), "posd.toml:10:1: id: another device has 0c2e:0b61 already"},
		{least + device + "gap = 1.5", "posd.toml:7:1: gap: it must be text in quotes, a whole number"},
		{least + device + "gap = [1]", "posd.toml:7:1: gap: it must be text in quotes, a whole number"},
		{least + device + "[device.gap]\nx = 1", "posd.toml:7:9: gap: it must be a value, not a table"},
		{strings.Repeat("#", maxSize+1), "posd.toml:1:1: the file is longer"},
	} {
		_, err := Parse("posd.toml", []byte(tc.text), checks())
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%.200s\n got %v\nwant %s", tc.text, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%.200s\n says too much: %v", tc.text, err)
		}
	}
}

func TestAllErrorsAreToldInOrder(t *testing.T) {
	text := "country = \"XX\"\n[[device]]\nname = \"a\"\n[central]\ntimeout = 3\nspeed = 1\n"
	_, err := Parse("c", []byte(text), checks())
	want := "c:1:1: country: "
	lines := strings.Split(fmt.Sprint(err), "\n")
	for i, prefix := range []string{"c:1:1: payment_cards: ", want, "c:2:3: port: ", "c:2:3: role: ", "c:5:1: central.timeout: ", "c:6:1: central.speed: "} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], prefix) {
			t.Errorf("error %d: want %s, in\n%v", i, prefix, err)
		}
	}
	if len(lines) != 6 {
		t.Errorf("%d errors:\n%v", len(lines), err)
	}
}

// TestDriversAreAskedLast has a wrong country not told again by each device.
func TestDriversAreAskedLast(t *testing.T) {
	text := "payment_cards = true\ncountry = \"XX\"\n[[device]]\nname = \"a\"\nrole = \"keypad\"\nport = \"/dev/a\"\n"
	if _, err := Parse("c", []byte(text), checks()); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("err = %v", err)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "posd.toml")
	if _, err := Load(path, checks()); err == nil || !strings.Contains(err.Error(), path+": no such file or directory: write it") {
		t.Errorf("err = %v", err)
	}
	if _, err := Load(filepath.Dir(path), checks()); err == nil {
		t.Error("a directory was read")
	}
	if err := os.WriteFile(path, []byte(least), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(path, checks()); err != nil || c.Country != "US" {
		t.Errorf("%+v, %v", c, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(least))
	f.Add([]byte(least + "[[device]]\nname=\"a\"\nrole=\"msr\"\nport=\"/dev/x\"\nlrc=true\n[device.x.y]\nz=1\n[[device]]\n"))
	f.Add([]byte("a.b.c = [{x=[[{}]]}, 3, {\"\"=1979-05-27}]\n[[a.q]]\n[a.q.r]\n[[a.q.s]]\n"))
	f.Add([]byte("basket = {priority=[\"phone\"], hold_for=\"1h\"}\n'''x'''=1\n"))
	example, err := os.ReadFile("../systemd/posd.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("f", text, checks())
		if err == nil {
			if c.Country == "" || c.StateDir == "" || c.API.Socket == "" || c.Basket.HoldFor <= 0 || len(c.Basket.Priority) == 0 {
				t.Errorf("accepted half a configuration: %+v", c)
			}
			return
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !strings.HasPrefix(line, "f:") {
				t.Errorf("an error names no place: %q", line)
			}
		}
	})
}
