package systemd

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unit is a unit file: for each "Section.Key" its values in order, as systemd
// keeps them for a list.
type unit map[string][]string

func (u unit) one(t *testing.T, key string) string {
	t.Helper()
	if len(u[key]) != 1 {
		t.Fatalf("%s is given %d times", key, len(u[key]))
	}
	return u[key][0]
}

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	u, section := unit{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		key, value, pair := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && line[len(line)-1] == ']':
			section = line[1 : len(line)-1]
		case pair && section != "":
			u[section+"."+key] = append(u[section+"."+key], value)
		default:
			t.Fatalf("%s: %q is neither a section nor key=value", name, line)
		}
	}
	return u
}

func programs() []string { return []string{"posd", "centrald", "posmaind"} }

// sockets gives the socket units whose service is that of a program.
func sockets(t *testing.T, program string) map[string]unit {
	t.Helper()
	names, err := filepath.Glob("*.socket")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]unit{}
	for _, name := range names {
		u := readUnit(t, name)
		service := strings.TrimSuffix(name, ".socket") + ".service"
		if given := u["Socket.Service"]; given != nil {
			service = given[0]
		}
		if service == program+".service" {
			found[name] = u
		}
	}
	return found
}

// TestServices holds each service to what it must have, with the reason.
func TestServices(t *testing.T) {
	required := []struct{ key, value, because string }{
		{"Service.Type", "notify", "a service is up when its devices or its database are, not when it was forked"},
		{"Service.NotifyAccess", "main", "a child process must not speak for the service"},
		{"Service.Restart", "always", "nobody restarts it by hand in a shop"},
		{"Unit.StartLimitIntervalSec", "0", "systemd would give up after five quick failures"},
		{"Service.StateDirectoryMode", "0700", "journal, keys and logs are for the service alone"},
		{"Service.UMask", "0077", "what the service writes is for itself"},
		{"Service.LimitCORE", "0", "a core file holds card numbers and keys"},
		{"Service.NoNewPrivileges", "yes", "no setuid program is ever needed"},
		{"Service.CapabilityBoundingSet", "", "ports are above 1024 and devices are opened by group"},
		{"Service.AmbientCapabilities", "", "as the bounding set"},
		{"Service.ProtectSystem", "strict", "only the state directory is written to"},
		{"Service.ProtectHome", "yes", "nothing is read from homes"},
		{"Service.PrivateTmp", "yes", "SQLite's temporary files are nobody else's"},
		{"Service.ProtectProc", "invisible", "other users' processes do not matter"},
		{"Service.ProtectKernelTunables", "yes", "sysfs is only read"},
		{"Service.ProtectKernelModules", "yes", "modules are loaded by udev"},
		{"Service.ProtectKernelLogs", "yes", "the kernel's log is not read"},
		{"Service.ProtectControlGroups", "yes", "cgroups are systemd's"},
		{"Service.ProtectHostname", "yes", "the host's name is not changed"},
		{"Service.LockPersonality", "yes", "there is one system call interface"},
		{"Service.MemoryDenyWriteExecute", "yes", "no code is made at run time"},
		{"Service.RestrictNamespaces", "yes", "no containers are made"},
		{"Service.RestrictRealtime", "yes", "no real-time scheduling is used"},
		{"Service.RestrictSUIDSGID", "yes", "no setuid file is made"},
		{"Service.RemoveIPC", "yes", "no System V IPC is used"},
		{"Service.SystemCallArchitectures", "native", "there is one system call interface"},
		{"Service.SystemCallErrorNumber", "EPERM", "a library that tries something gets an error, and no till dies of it"},
		{"Install.WantedBy", "multi-user.target", "it starts with the machine"},
	}
	for _, program := range programs() {
		t.Run(program, func(t *testing.T) {
			u := readUnit(t, program+".service")
			for _, r := range required {
				if got, ok := u[r.key]; !ok || len(got) != 1 || got[0] != r.value {
					t.Errorf("%s is %q, must be %q: %s", r.key, got, r.value, r.because)
				}
			}
			for key, value := range map[string]string{"Service.User": program, "Service.StateDirectory": program} {
				if got := u.one(t, key); got != value {
					t.Errorf("%s=%s, the program's name is %s", key, got, value)
				}
			}
			if u["Service.WatchdogSec"] == nil || u["Service.TimeoutStopSec"] == nil {
				t.Error("WatchdogSec or TimeoutStopSec is missing: a service that hangs is to be restarted, and soon")
			}
			if got, want := u["Service.SystemCallFilter"], []string{"@system-service", "~@privileged @resources"}; !slices.Equal(got, want) {
				t.Errorf("SystemCallFilter %q, must be %q", got, want)
			}
			families := strings.Fields(u.one(t, "Service.RestrictAddressFamilies"))
			for _, family := range []string{"AF_UNIX", "AF_INET", "AF_INET6"} {
				if !slices.Contains(families, family) {
					t.Errorf("RestrictAddressFamilies lacks %s, which systemd's notifications or connections need", family)
				}
			}
			if slices.ContainsFunc(families, func(f string) bool { return f == "AF_PACKET" || strings.HasPrefix(f, "~") }) {
				t.Errorf("RestrictAddressFamilies %q allows too much", families)
			}
		})
	}
}

// TestDevices keeps devices within posd's reach and out of the others'.
func TestDevices(t *testing.T) {
	posd := readUnit(t, "posd.service")
	for key, because := range map[string]string{
		"Service.PrivateDevices":   "it hides the devices",
		"Service.DevicePolicy":     "device groups are looked up at start: a module loaded later is missed",
		"Service.DeviceAllow":      "device groups are looked up at start: a module loaded later is missed",
		"Service.ProtectClock":     "it brings a DeviceAllow=, which shuts out all other devices",
		"Service.ProcSubset":       "/proc/sys/kernel/random/boot_id must be readable",
		"Service.RuntimeDirectory": "it would be removed with the socket in it at every stop",
		"Service.DynamicUser":      "udev's rules give the devices to a group that has fixed members",
	} {
		if posd[key] != nil {
			t.Errorf("posd.service must not set %s: %s", key, because)
		}
	}
	groups := strings.Fields(posd.one(t, "Service.SupplementaryGroups"))
	slices.Sort(groups)
	if !slices.Equal(groups, []string{"dialout", "input", "posdev"}) {
		t.Errorf("posd is in the groups %q, devices belong to dialout, input and posdev", groups)
	}
	for _, program := range []string{"centrald", "posmaind"} {
		u := readUnit(t, program+".service")
		for _, key := range []string{"Service.PrivateDevices", "Service.ProtectClock"} {
			if !slices.Equal(u[key], []string{"yes"}) {
				t.Errorf("%s.service must set %s: it has no device to read", program, key)
			}
		}
		if u["Service.SupplementaryGroups"] != nil {
			t.Errorf("%s.service must not be in further groups", program)
		}
	}
	for _, program := range []string{"posd", "centrald"} {
		if u := readUnit(t, program+".service"); !slices.Equal(u["Service.MemorySwapMax"], []string{"0"}) {
			t.Errorf("%s.service must set MemorySwapMax=0: card numbers and keys must not be swapped to a disk", program)
		}
	}
}

func TestSockets(t *testing.T) {
	for _, program := range programs() {
		service, found := readUnit(t, program+".service"), sockets(t, program)
		if len(found) == 0 {
			t.Errorf("%s has no socket unit", program)
		}
		for name, u := range found {
			for _, key := range []string{"Unit.Requires", "Unit.After", "Install.Also"} {
				if !slices.Contains(strings.Fields(service.one(t, key)), name) {
					t.Errorf("%s.service: %s lacks %s: the program would bind the address itself, or not find it", program, key, name)
				}
			}
			// systemd gives one name to all sockets of a unit.
			u.one(t, "Socket.ListenStream")
			u.one(t, "Socket.FileDescriptorName")
			if got := u.one(t, "Install.WantedBy"); got != "sockets.target" {
				t.Errorf("%s: WantedBy=%s", name, got)
			}
			for _, path := range u["Unit.AssertPathExists"] {
				if !slices.Contains(service["Unit.AssertPathExists"], path) {
					t.Errorf("%s asserts %s, its service does not", name, path)
				}
			}
		}
	}
	posd := readUnit(t, "posd.socket")
	for key, want := range map[string]string{
		"Socket.ListenStream": "/run/posd/posd.sock", "Socket.SocketMode": "0660",
		"Socket.SocketUser": "posd", "Socket.SocketGroup": "posd",
	} {
		if got := posd.one(t, key); got != want {
			t.Errorf("posd.socket: %s=%s, must be %s", key, got, want)
		}
	}
}

// TestUsers looks whether every user and group that a unit or rule names is made.
func TestUsers(t *testing.T) {
	text, err := os.ReadFile("posd.sysusers.conf")
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		if len(fields) < 3 || fields[0] != "u" && fields[0] != "g" || fields[2] != "-" {
			t.Errorf("%q is no user or group with a number of the system's choice", strings.TrimSpace(line))
			continue
		}
		made[fields[1]] = fields[0]
	}
	for _, program := range programs() {
		u := readUnit(t, program+".service")
		if user := u.one(t, "Service.User"); made[user] != "u" {
			t.Errorf("user %s of %s.service is not made", user, program)
		}
		for _, group := range strings.Fields(strings.Join(u["Service.SupplementaryGroups"], " ")) {
			if made[group] == "" {
				t.Errorf("group %s of %s.service is not made: the service would not start where it is missing", group, program)
			}
		}
	}
	if made["posdev"] != "g" {
		t.Error("posdev, the group of the udev rules, is not made")
	}
}

// TestAnalyze has systemd itself look at the units.
func TestAnalyze(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("POSD_TEST_ALL") == "1" {
			t.Fatal("systemd-analyze is not installed: apt-get install systemd")
		}
		t.Skip("NOT CHECKED BY SYSTEMD: systemd-analyze is not installed")
	}
	dir := t.TempDir()
	var units []string
	for _, program := range programs() {
		units = slices.AppendSeq(append(units, program+".service"), maps.Keys(sockets(t, program)))
	}
	for _, program := range programs() { // systemd looks whether the program is there
		if err := os.WriteFile(filepath.Join(dir, program), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"verify", "--man=no"}
	for _, name := range units {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		there := filepath.Join(dir, name)
		if err := os.WriteFile(there, []byte(strings.ReplaceAll(string(text), "/usr/bin/", dir+"/")), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, there)
	}
	verify := exec.Command(analyze, args...)
	verify.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":", "SYSTEMD_LOG_LEVEL=warning")
	out, err := verify.CombinedOutput()
	if err != nil || strings.Contains(string(out), dir) { // warnings about other units are not ours
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	for _, program := range programs() {
		// The threshold is in tenths; above 2.5 something has been dropped.
		out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold=25", filepath.Join(dir, program+".service")).CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		t.Log(lines[len(lines)-1])
		if err != nil {
			t.Errorf("systemd-analyze security: %v\n%s", err, out)
		}
	}
}
