// Package journaltest holds every journal to the same conduct: what lane.Journal
// says, checked on an implementation of it.
package journaltest

import (
	"testing"

	"posd/identity"
	"posd/lane"
)

// Journal is what is held to it.
type Journal = lane.Journal

// Priority is the order of kinds that a journal under test must be opened with.
func Priority() []identity.Kind {
	return []identity.Kind{identity.Loyalty, identity.Payment, identity.Phone}
}

// New makes an empty journal opened with Priority. Restart gives the journal as
// a new process would find it; one that does not outlive its process returns
// itself.
type New func(t *testing.T) (j Journal, restart func() Journal)

// Run holds the journals that fresh makes to the conduct of a journal.
func Run(t *testing.T, fresh New) {
	for _, c := range []struct {
		name string
		test func(*rig)
	}{
		{"one basket is open", oneOpen},
		{"another basket is not touched", otherBasket},
		{"lines are kept in order", lines},
		{"lines are voided once", voidLine},
		{"a header is kept", describe},
		{"activity is kept", active},
		{"numbers have no gaps", numbers},
		{"training leaves nothing", training},
		{"the clock is kept", clock},
		{"identities wait with their EncTID", pending},
		{"an epoch is used after its EncTIDs were answered", epochAgain},
		{"swipe numbers are used once", swipeNumbers},
		{"identities are dropped", dropped},
		{"an open basket is answered", answerOpen},
		{"every answer on a closed basket is a revision", answerClosed},
		{"a void is final", answerVoided},
		{"bad answers change nothing", badAnswers},
		{"what waits too long expires", expire},
		{"priority picks the identity", priority},
		{"the queue is in order", queue},
		{"receipts settle deliveries", acknowledge},
		{"bad receipts settle nothing", badReceipts},
		{"a new log gets everything again", newLog},
		{"refused deliveries wait for a person", refuse},
		{"what is done with is purged", purge},
		{"a trace tells it all", trace},
		{"what a journal gave is the caller's", copies},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &rig{T: t}
			r.Journal, r.restart = fresh(t)
			c.test(r)
		})
	}
}
