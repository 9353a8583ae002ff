package postgresdb

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// channel is what writers notify and Listen hears; it is the database's own.
const channel = "posd_changed"

const longestPause = 10 * time.Second // before a lost listener connects again

// Listen calls changed after every Write of whatever program, and whenever it may
// have missed some, until ctx ends. It is a hint to look at once, not the feed of
// changes itself: where the database has no notifications (CockroachDB), or after
// Batch, changed is not called.
func (db *DB) Listen(ctx context.Context, changed func()) {
	if !db.notifies {
		return
	}
	for tries := 0; ctx.Err() == nil; tries++ {
		if heard := db.listen(ctx, changed); heard {
			tries = 0
		}
		timer := time.NewTimer(pause + rand.N(min(longestPause, pause<<min(tries, 16))))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// listen listens until its connection is lost; it reports whether it had one.
func (db *DB) listen(ctx context.Context, changed func()) bool {
	conn, err := pgx.ConnectConfig(ctx, db.listener)
	if err != nil {
		return false
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return false
	}
	for changed(); ; changed() {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return true
		}
	}
}
