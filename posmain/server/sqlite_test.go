package server_test

import (
	"path/filepath"
	"testing"

	"posd/posmain/server"
	"posd/posmain/server/storetest"
)

func TestSQLiteKeepsTheRulesOfAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		path := filepath.Join(t.TempDir(), "log.db")
		return func(t testing.TB) server.Store {
			s, err := server.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}
