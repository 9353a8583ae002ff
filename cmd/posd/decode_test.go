package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"posd/cli"
	"posd/drivers/driver"
	"posd/technician"
)

// invoke runs posd in process.
func invoke(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	status = cli.Main(root, cli.Env{Args: args, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Context: t.Context()})
	return out.String(), errs.String(), status
}

const upca = `# source: constructed
# transport: tty
0.000 < 30 33 36 30 30 30 32 39 31 34 35 32
0.010 < 0D
`

func TestDecode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "upca.rec")
	if err := os.WriteFile(file, []byte(upca), 0o600); err != nil {
		t.Fatal(err)
	}
	want := `{"type":"scan","at":0.01,"data":"036000291452","label":"036000291452","symbology":"UPCA","gtin":"00036000291452","kind":"item"}` + "\n"
	for _, args := range [][]string{{"decode", "auto", file}, {"decode", "serial-scanner", file}, {"decode", "auto"}, {"decode", "auto", "-"}} {
		if out, errs, status := invoke(t, upca, args...); out != want || errs != "" || status != 0 {
			t.Errorf("%v: status %d\n%s%s", args, status, out, errs)
		}
	}
}

func TestDecodeStatus(t *testing.T) {
	const tty = "# transport: tty\n"
	for _, c := range []struct {
		name, stdin string
		args        []string
		status      int
		stdout      string // is in it
		stderr      string
	}{
		{"wrong check digit", strings.Replace(upca, "35 32", "35 33", 1), []string{"auto"}, 1, `"type":"error","at":0.01,"data":"036000291453"`, ""},
		{"read, but no card of the shop", tty + "0 < 3B 36 30 30 36 34 39 31 32 33 34 35 36 37 38 39 30 3F 0D", []string{"auto"}, 0, `"last4":"7890"`, ""},
		{"number of a person", tty + "0 < 5D 43 31 38 30 31 38 30 36 31 34 31 34 31 39 39 39 39 39 39 39 39 39 39 37 0D", []string{"auto"}, 0, `"last4":"9997"`, ""},
		{"parity", tty + "0 < 30 00 31 0D", []string{"serial-scanner"}, 1, `"type":"error"`, ""},
		{"error track", tty + "0 < 25 45 3F 3B 45 3F 0D", []string{"auto"}, 1, `"code":"reader-error"`, ""},
		{"setting", tty + "0 < 23 30 33 36 30 30 30 32 39 31 34 35 32 0A", []string{"serial-scanner", "--set", "prefix=#", "--set", "terminator=LF"}, 0, `"00036000291452"`, ""},
		{"setting goes before the recording's", tty + "# set: prefix=%\n0 < 23 31 0D", []string{"serial-scanner", "--set", "prefix=#"}, 0, `"label":"1"`, ""},
		{"card number in a bar code", tty + "0 < 5D 43 30 34 31 31 31 31 31 31 31 31 31 31 31 31 31 31 31 0D", []string{"auto"}, 0, `"last4":"1111"`, ""},
		{"nothing", "", []string{"auto"}, 2, "", "standard input: line 1: nothing is recorded"},
		{"bad recording", tty + "0 < XX", []string{"auto"}, 2, "", "standard input: line 2:"},
		{"unknown driver", upca, []string{"scales"}, 2, "", "there are serial-msr"},
		{"unknown setting", upca, []string{"serial-scanner", "--set", "colour=red"}, 2, "", "colour"},
		{"setting without value", upca, []string{"serial-scanner", "--set", "ids"}, 2, "", "key=value"},
		{"other transport", upca, []string{"hid-pos-scanner"}, 2, "", "recording of tty"},
		{"a folder", "", []string{"auto", "/"}, 2, "", "is a directory"},
		{"no file", "", []string{"auto", "/nowhere/x.rec"}, 2, "", "/nowhere/x.rec"},
		{"no driver", "", nil, 2, "", "which driver"},
		{"list with a driver", "", []string{"auto", "--list"}, 2, "", "--list"},
		{"too many files", "", []string{"auto", "a", "b"}, 2, "", "at most 2"},
	} {
		out, errs, status := invoke(t, c.stdin, append([]string{"decode"}, c.args...)...)
		if status != c.status || !strings.Contains(out, c.stdout) || !strings.Contains(errs, c.stderr) || (errs == "") != (c.stderr == "") {
			t.Errorf("%s: status %d, want %d\n%s%s", c.name, status, c.status, out, errs)
		}
		if strings.Contains(out+errs, "411111") || strings.Contains(out+errs, "061414") {
			t.Errorf("%s: a card number is in\n%s%s", c.name, out, errs)
		}
	}
}

func TestDecodeList(t *testing.T) {
	out, _, status := invoke(t, "", "decode", "--list")
	for _, word := range []string{"serial-scanner", "serial-msr", "serial-keypad", "hid-pos-scanner", "terminator", "close_key", "lrc"} {
		if !strings.Contains(out, word) {
			t.Errorf("%s is not listed", word)
		}
	}
	if status != 0 {
		t.Errorf("status %d", status)
	}
}

// The golden recordings give the same through the command.
func TestDecodeGolden(t *testing.T) {
	files, err := filepath.Glob("../../drivers/testdata/*.rec")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, file := range files {
		want, err := os.ReadFile(strings.TrimSuffix(file, ".rec") + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if name := filepath.Base(file); name == "card.rec" || name == "wedge-card.rec" {
			continue // auto takes it for the card reader that it is
		}
		out, errs, status := invoke(t, "", "decode", "auto", file)
		if out != redacted(t, want) {
			t.Errorf("%s: status %d\n%s%s", file, status, out, errs)
		}
		failed := strings.Contains(out, `"type":"error"`)
		if (status == 1) != failed || status > 1 {
			t.Errorf("%s: status %d", file, status)
		}
		for line := range strings.Lines(out) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s: %q is no JSON", file, line)
			}
		}
	}
}

// redacted gives events as the command prints them: of a label that could be a
// person's number, the last four digits.
func redacted(t *testing.T, events []byte) string {
	t.Helper()
	var out strings.Builder
	for line := range bytes.Lines(events) {
		var e driver.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if err := cli.PrintJSONLine(&out, technician.Redact(e)); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestExplainShowsNoCardNumber(t *testing.T) {
	for _, label := range []string{
		"4111111111111111", "4111 1111 1111 1111", "(01)4111111111111111", "30569309025904",
		"%B4111111111111111^SHOPPER/TEST^29122010000000000?", "]C04111111111111111",
		"https://id.gs1.org/01/09506000134352?pan=4111111111111111", "https://id.gs1.org/01/09506000134352?99=4111111111111111",
		"]E02112345678900|]e0914111111111111111", "]E02112345678900|]e24111111111111111", "(01)09506000134352(91)4111111111111111",
		"(8018)061414111111111114", "(8018)061414111111111110", "https://id.gs1.org/8018/061414111111111114", "]E02112345678900|]e08018061414111111111114",
	} {
		for _, args := range [][]string{{"explain", label}, {"explain", "--json", label}} {
			out, errs, status := invoke(t, "", args...)
			if status != 1 || strings.Contains(out+errs, "11111") || strings.Contains(out+errs, "30569") || !strings.Contains(out, "error") {
				t.Errorf("%v: status %d\n%s%s", args, status, out, errs)
			}
		}
	}
	// A mistyped EAN that could be a card's number by its digits.
	if out, _, status := invoke(t, "", "explain", "4222222222222"); status != 1 || !strings.Contains(out, "4222222222222") {
		t.Errorf("status %d\n%s", status, out)
	}
}
