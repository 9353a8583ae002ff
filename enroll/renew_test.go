package enroll

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const oneDay = 24 * time.Hour

// renewal is a lane and its central in fake time, over real TLS on a pipe.
type renewal struct {
	*testCentral
	store   *Store
	renewer *Renewer
	pipe    *pipe
	log     bytes.Buffer // read it after stop only
	stop    func()
}

func startRenewal(t *testing.T) *renewal {
	t.Helper()
	r := &renewal{testCentral: newCentral(t), pipe: newPipe(t)}
	serveOn(t, tls.NewListener(r.pipe, OperationsConfig(r.creds, Name{Role: Lane})), r.testCentral)

	dir := filepath.Join(t.TempDir(), "identity")
	first := enrolInto(t, dir, r.ca, lane7)
	r.newest[lane7.String()] = first.Certificate.Leaf
	r.store = must(Load(dir))
	r.renewer = r.newRenewer(r.store)
	return r
}

func (r *renewal) newRenewer(s *Store) *Renewer {
	out := NewRenewer(s, slog.New(slog.NewTextHandler(&r.log, nil)))
	out.call = func(own *Credentials) caller {
		c := newCaller(ClientConfig(own, Name{Role: Central}), own)
		c.http.Transport.(*http.Transport).DialContext = r.pipe.dial
		return c
	}
	return out
}

func (r *renewal) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.renewer.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run gives %v", err)
		}
	}
}

func (r *renewal) leaf() *x509.Certificate { return r.store.Current().Certificate.Leaf }

// passes lets fake time pass until all is quiet.
func passes(d time.Duration) { time.Sleep(d); synctest.Wait() }

func TestRenewalAtTwoThirdsOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRenewal(t)
		renewed := 0
		r.renewer.Renewed = func() { renewed++ }
		r.run(t)
		defer func() { r.stop() }()
		for life := range 3 {
			before := r.leaf()
			begin := before.NotBefore
			passes(time.Until(begin.Add(20*oneDay - time.Minute)))
			if !r.leaf().Equal(before) || r.count() != life {
				t.Fatalf("life %d: renewed before two thirds, or %d requests: %+v %s", life, r.count(), r.renewer.Status(), r.log.String())
			}
			passes(13 * time.Hour)
			if r.leaf().Equal(before) {
				t.Fatalf("life %d: not renewed at two thirds and 12 h", life)
			}
			st := r.renewer.Status()
			if renewed != life+1 || st.Err != nil || st.Failures != 0 || !st.NotAfter.Equal(r.leaf().NotAfter) || !st.Due.After(time.Now()) {
				t.Errorf("life %d: %d calls of Renewed, status is %+v", life, renewed, st)
			}
		}
		if !must(Load(r.store.dir)).Current().Certificate.Leaf.Equal(r.leaf()) {
			t.Error("the last certificate is not on disk")
		}
	})
}

// Central is away from the day of renewal on: attempts grow rarer, each with the
// same key, and go on after the certificate has ended.
func TestRenewalAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRenewal(t)
		before := r.leaf()
		passes(20*oneDay + 12*time.Hour)
		r.set(func(c *testCentral) { c.lose = 1 })
		if err := r.renewer.Renew(t.Context()); err == nil { // it signs and is gone
			t.Fatal("no error for a lost answer")
		}
		r.pipe.away.Store(true)
		r.run(t)
		passes(9*oneDay + 11*time.Hour) // to the end of the first
		st := r.renewer.Status()
		if st.Failures < 9*24 || st.Failures > 10*48+20 || st.Err == nil {
			t.Errorf("after 9 days: %+v, want 1 to 2 attempts an hour", st)
		}
		passes(29 * oneDay)
		if !r.leaf().Equal(before) {
			t.Fatal("renewed, by whom?")
		}
		r.pipe.away.Store(false)
		passes(3 * time.Hour)
		if st := r.renewer.Status(); r.leaf().Equal(before) || st.Err != nil || st.Failures != 0 {
			t.Errorf("29 days after the end: %+v", r.renewer.Status())
		}
		// What central had signed for that key has ended as well meanwhile. It
		// served to get one for the next key.
		if r.leaf().NotAfter.Before(time.Now().Add(29 * oneDay)) {
			t.Errorf("the lane stays with a certificate that ended at %v", r.leaf().NotAfter)
		}
		r.stop()
		if !strings.Contains(r.log.String(), "connection refused") {
			t.Error("the log does not tell")
		}
	})
}

// Refusals are tried again with the same key.
func TestRefusedRenewalKeepsItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRenewal(t)
		r.set(func(c *testCentral) {
			c.refuse = &Problem{Type: ProblemUnavailable, Status: 503, Title: "busy", RetryAfter: time.Hour}
		})
		var key []byte
		for range 3 {
			err := r.renewer.Renew(t.Context())
			if p, ok := errors.AsType[*Problem](err); !ok || p.Type != ProblemUnavailable || p.RetryAfter != time.Hour {
				t.Fatalf("error is %v", err)
			}
			now := must(os.ReadFile(filepath.Join(r.store.dir, pendingFile)))
			if key != nil && !bytes.Equal(key, now) {
				t.Error("the key was changed between attempts")
			}
			key = now
		}
	})
}

func TestRenewalTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRenewal(t)
		passes(61 * oneDay) // the machine was off
		err := r.renewer.Renew(t.Context())
		if err == nil || !strings.Contains(err.Error(), "it ended at") {
			t.Errorf("31 days after the end: %v", err)
		}
	})
}

// The answer is lost, the program is stopped, and starts again: it asks with the
// same key, and central does not take it for a clone.
func TestRenewalAfterALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRenewal(t)
		r.set(func(c *testCentral) { c.lose = 1 })
		if err := r.renewer.Renew(t.Context()); err == nil {
			t.Fatal("no error for a lost answer")
		}
		signed := r.newest[lane7.String()]
		again := must(Load(r.store.dir))
		if err := r.newRenewer(again).Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !again.Current().Certificate.Leaf.Equal(signed) {
			t.Error("another certificate than the one signed before")
		}
	})
}

// A copy of the disk renews first; then the lane itself is told.
func TestCloneIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRenewal(t)
		clone := filepath.Join(t.TempDir(), "clone")
		if err := os.Mkdir(clone, 0o700); err != nil {
			t.Fatal(err)
		}
		copyDir(t, r.store.dir, clone)
		if err := r.newRenewer(must(Load(clone))).Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := r.renewer.Renew(t.Context())
		const want = "this lane's certificate was superseded: another machine holds a copy; ask central to replace the lane"
		if !IsProblem(err, ProblemSuperseded) || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestRenewalWithAWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{oneDay, -oneDay} {
		synctest.Test(t, func(t *testing.T) {
			r := startRenewal(t)
			before := r.leaf()
			r.ahead = ahead
			if err := r.renewer.Renew(t.Context()); err != nil {
				t.Fatalf("a wrong clock ends the lane's life: %v", err)
			}
			if r.leaf().Equal(before) || !strings.Contains(r.log.String(), "clock of this machine is wrong: it is 24 h 0 min") {
				t.Errorf("not renewed, or not said: %s", r.log.String())
			}
		})
	}
}

// With a clock that is far ahead each new certificate is due at once: central is
// not to be asked all the time for that.
func TestRenewalWithAClockFarAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRenewal(t)
		passes(30 * oneDay)
		r.ahead = -25 * oneDay
		r.run(t)
		passes(oneDay)
		r.stop()
		if n := r.count(); n < 2 || n > 25 {
			t.Errorf("%d requests in a day", n)
		}
	})
}

func TestSpoiltRenewals(t *testing.T) {
	other, _ := testCA(t, "other")
	for name, c := range map[string]struct {
		spoil func(c *testCentral)
		want  error
		text  string
	}{
		"another name": {func(c *testCentral) { c.leaf = func(_ Name, l *Leaf) { l.Name.Lane = "lane-8" } }, ErrWrongName, "lane-8"},
		"dead": {func(c *testCentral) {
			c.leaf = func(_ Name, l *Leaf) {
				l.NotBefore, l.NotAfter = time.Now().Add(-61*oneDay), time.Now().Add(-31*oneDay)
			}
		}, ErrExpired, ""},
		"another CA": {func(c *testCentral) { c.signer = other }, nil, "not issued by"},
		"revoked":    {func(c *testCentral) { c.refuse = &Problem{Type: ProblemRevoked, Status: 403} }, nil, "was revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			central := startCentral(t)
			dir := identityDir(t)
			if _, err := Enroll(t.Context(), central.url, central.token(lane7), Lane, dir); err != nil {
				t.Fatal(err)
			}
			central.set(c.spoil)
			s := must(Load(dir))
			before := s.Current()
			err := NewRenewer(s, nil).Renew(t.Context())
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error is %v, want %v, %q", err, c.want, c.text)
			}
			if s.Current() != before || !must(Load(dir)).Current().Certificate.Leaf.Equal(before.Certificate.Leaf) {
				t.Error("the refused certificate is in use")
			}
		})
	}
}

// Run ends at once, also in the middle of a request that hangs.
func TestRunStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRenewal(t)
		r.run(t)
		passes(oneDay)
		r.stop() // waiting

		passes(20 * oneDay)
		r.pipe = newPipe(t) // nobody accepts: the dial hangs
		r.run(t)
		synctest.Wait()
		began := time.Now()
		r.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestBackoff(t *testing.T) {
	for failures, most := range map[int]time.Duration{1: time.Minute, 2: 2 * time.Minute, 5: 16 * time.Minute, 7: time.Hour, 8: time.Hour, 1000: time.Hour} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := backoff(failures, errors.New("x"))
			if d > most || d < most/2 {
				t.Fatalf("pause %d is %v, want %v to %v", failures, d, most/2, most)
			}
			seen[d] = true
		}
		if len(seen) < 50 {
			t.Errorf("pause %d has no jitter", failures)
		}
	}
	if d := backoff(1, &Problem{RetryAfter: 10 * time.Minute}); d != 10*time.Minute {
		t.Errorf("central asked for 10 min, the pause is %v", d)
	}
}

func TestDueIsSpread(t *testing.T) {
	ca, _ := testCA(t, "acme")
	l := goodLeaf()
	seen := map[time.Time]bool{}
	for range 20 {
		leaf := issue(t, ca, l).Certificate.Leaf
		d := due(leaf)
		life := leaf.NotAfter.Sub(leaf.NotBefore)
		if d.Before(leaf.NotBefore.Add(life*2/3)) || d.After(leaf.NotBefore.Add(life*2/3+life/60)) || due(leaf) != d {
			t.Errorf("due %v after the beginning of %v", d.Sub(leaf.NotBefore), life)
		}
		seen[d] = true
	}
	if len(seen) < 19 {
		t.Errorf("only %d of 20 are due at different times", len(seen))
	}
}
