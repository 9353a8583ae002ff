package journal_test

import (
	"posd/journal"
	"posd/journal/journaltest"
	"posd/lane"
)

var (
	_ lane.Journal        = (*journal.SQLite)(nil)
	_ lane.Journal        = (*journal.Memory)(nil)
	_ journaltest.Journal = lane.Journal(nil)
	_ lane.Journal        = journaltest.Journal(nil)
)
