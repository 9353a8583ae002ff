package journal_test

import (
	"posd/journal"
	"posd/lane"
)

var (
	_ lane.Journal = (*journal.SQLite)(nil)
	_ lane.Journal = (*journal.Memory)(nil)
)
