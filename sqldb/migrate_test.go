package sqldb

import (
	"io/fs"
	"testing"
	"testing/fstest"
)

func TestMistakesInMigrations(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, fsys := range map[string]fs.FS{
		"none":             fstest.MapFS{},
		"gap":              fstest.MapFS{"0001_a.sql": file(""), "0003_c.sql": file("")},
		"twice":            fstest.MapFS{"0001_a.sql": file(""), "0001_b.sql": file("")},
		"no number":        fstest.MapFS{"first.sql": file("")},
		"short number":     fstest.MapFS{"1_a.sql": file("")},
		"reader too new":   fstest.MapFS{"0001_a.sql": file("-- min_reader: 2\n")},
		"reader no number": fstest.MapFS{"0001_a.sql": file("-- min_reader: one\n")},
	} {
		if _, err := ReadMigrations(fsys); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
