package cli

import "testing"

func TestPasswordsOfURLs(t *testing.T) {
	for arg, want := range map[string]string{
		"postgres://user:secret@host:5432/db":                  "secret",
		"--database=postgres://user:se:cret@a:1,b:2/db?x=y@z:": "se:cret",
		"postgres://user:s@cret@host":                          "s@cret",
		"postgres://user@host:5432/db":                         "",
		"https://host:8443/a:b@c":                              "",
		"postgres://:secret@/db":                               "secret",
		"a:b@c":                                                "",
	} {
		if from, to := password(arg); arg[from:to] != want {
			t.Errorf("%s: %q, want %q", arg, arg[from:to], want)
		}
	}
}
