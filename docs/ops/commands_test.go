package ops

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

var built struct {
	sync.Once
	dir  string
	said map[string]string // help, by command
}

// help is what a command of ours says of itself, with --help; "" if there is none.
func help(t *testing.T, words ...string) string {
	t.Helper()
	built.Do(func() {
		dir, err := os.MkdirTemp("", "ops")
		must(t, err)
		out, err := exec.Command("go", "build", "-o", dir, "posd/cmd/centrald", "posd/cmd/posmaind", "posd/cmd/posd").CombinedOutput()
		if err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		built.dir, built.said = dir, map[string]string{}
	})
	command := strings.Join(words, " ")
	if said, known := built.said[command]; known {
		return said
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(built.dir, words[0]), slices.Concat(words[1:], []string{"--help"})...).Output()
	if err != nil {
		out = nil
	}
	built.said[command] = string(out)
	return string(out)
}

func TestMain(m *testing.M) {
	status := m.Run()
	os.RemoveAll(built.dir)
	os.Exit(status)
}

var (
	fenced = regexp.MustCompile("(?s)```.*?```")
	inline = regexp.MustCompile("`[^`]+`")
	ours   = regexp.MustCompile(`(?:^|[\s(|/]|sudo |-u \w+ )((?:centrald|posmaind|posd) [a-z][^|;&>#()]*)`)
	word   = regexp.MustCompile(`^[a-z][a-z-]*$`)
)

// commands are those of our programs in a page.
func commands(page string) (all []string) {
	texts := fenced.FindAllString(page, -1)
	texts = append(texts, inline.FindAllString(fenced.ReplaceAllString(page, ""), -1)...)
	for _, text := range texts {
		for line := range strings.Lines(strings.Trim(text, "`")) {
			for _, m := range ours.FindAllStringSubmatch(line, -1) {
				all = append(all, strings.TrimSpace(m[1]))
			}
		}
	}
	return all
}

// TestCommandsExist: every command in the runbooks and alerts, with its flags, is one
// that the programs have.
func TestCommandsExist(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	must(t, err)
	n := 0
	for _, name := range append(pages, "alerts.yaml") {
		text, err := os.ReadFile(name)
		must(t, err)
		for _, command := range commands(string(text)) {
			n++
			if wrong := check(t, command); wrong != "" {
				t.Errorf("%s: %s: %s", name, command, wrong)
			}
		}
	}
	if n < 60 {
		t.Errorf("%d commands were found in %d pages", n, len(pages))
	}
}

// check says what is wrong with a command, if anything.
func check(t *testing.T, command string) (wrong string) {
	words := strings.Fields(command)
	known := words[:1]
	text := help(t, known...)
	for len(known) < len(words) && word.MatchString(words[len(known)]) {
		longer := words[:len(known)+1]
		said := help(t, longer...)
		if !regexp.MustCompile(`(?m)^  ` + strings.Join(longer, " ") + `( |$)`).MatchString(said) {
			break // it is an argument
		}
		known, text = longer, said
	}
	if group := strings.Contains(text, "Available Commands:"); group && !strings.Contains(text, strings.Join(known, " ")+" [flags]") {
		return "there is no such command"
	}
	for _, w := range words[len(known):] {
		if flag, _, _ := strings.Cut(w, "="); strings.HasPrefix(flag, "--") && flag != "--help" && !regexp.MustCompile(`(?m)^\s+(-\w, )?`+flag+`\b`).MatchString(text) {
			return "it has no flag " + flag
		}
	}
	return ""
}

func TestCheckSeesWhatIsWrong(t *testing.T) {
	for command, wrong := range map[string]string{
		"centrald lanes revoke --store 12 --lane 3": "", "centrald lanes rewoke --store 12": "there is no such command", "centrald lanes": "there is no such command",
		"centrald lanes revoke --stores 12": "it has no flag --stores", "centrald keys rotate hpke --now": "", "posmaind export": "", "posd frobnicate": "there is no such command",
	} {
		if got := check(t, command); got != wrong {
			t.Errorf("%s: %q, want %q", command, got, wrong)
		}
	}
	got := commands("Say `centrald a b --c` or `sudo -u posd posd d`.\n```\n$ centrald e | posmaind f > g\n# no command\n```\n`see centraldx y`")
	if want := "centrald e, posmaind f, centrald a b --c, posd d"; strings.Join(got, ", ") != want {
		t.Errorf("got %q", got)
	}
}
