package enctid

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func newSealer(t testing.TB) *Sealer {
	t.Helper()
	s, err := NewSealer(lane7)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func seal(t testing.TB, s *Sealer) Sealed {
	t.Helper()
	out, err := s.Seal(card(t), Context{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSealerRotates(t *testing.T) {
	key, other := testKey(t, 1), testKey(t, 2)
	sameID, sameKey := PublicKey{ID: 1, Key: other.Key}, PublicKey{ID: 2, Key: key.Key}
	for name, c := range map[string]struct {
		do   func(t *testing.T, s *Sealer)
		want bool // a new epoch
	}{
		"at once":        {func(*testing.T, *Sealer) {}, false},
		"14 minutes":     {func(*testing.T, *Sealer) { time.Sleep(14 * time.Minute) }, false},
		"15 minutes":     {func(*testing.T, *Sealer) { time.Sleep(15 * time.Minute); synctest.Wait() }, true},
		"Rotate":         {func(_ *testing.T, s *Sealer) { s.Rotate() }, true},
		"the same key":   {func(t *testing.T, s *Sealer) { setKey(t, s, key) }, false},
		"another key":    {func(t *testing.T, s *Sealer) { setKey(t, s, other) }, true},
		"a new number":   {func(t *testing.T, s *Sealer) { setKey(t, s, sameKey) }, true},
		"a changed key":  {func(t *testing.T, s *Sealer) { setKey(t, s, sameID) }, true},
		"255 more uses":  {func(t *testing.T, s *Sealer) { uses(t, s, MaxUses-1) }, true},
		"254 more uses":  {func(t *testing.T, s *Sealer) { uses(t, s, MaxUses-2) }, false},
		"two rotations":  {func(_ *testing.T, s *Sealer) { s.Rotate(); s.Rotate() }, true},
		"an old timeout": {oldTimeout, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSealer(t)
				setKey(t, s, key)
				if name == "an old timeout" {
					seal(t, s)
					time.Sleep(14 * time.Minute)
					s.Rotate()
				}
				before := seal(t, s)
				c.do(t, s)
				after := seal(t, s)
				if got := before.Epoch != after.Epoch; got != c.want {
					t.Errorf("a new epoch: %t, want %t", got, c.want)
				}
				if bytes.Equal(before.Enc, after.Enc) == c.want {
					t.Error("enc and epoch do not go together")
				}
			})
		})
	}
}

// oldTimeout lets the time pass at which an epoch would have ended that was
// rotated away before.
func oldTimeout(*testing.T, *Sealer) { time.Sleep(2 * time.Minute); synctest.Wait() }

func setKey(t *testing.T, s *Sealer, k PublicKey) {
	t.Helper()
	if err := s.SetKey(k); err != nil {
		t.Fatal(err)
	}
}

func uses(t *testing.T, s *Sealer, n int) {
	for range n {
		seal(t, s)
	}
}

// An idle lane must not keep an epoch's AEAD beyond its age.
func TestSealerDropsAnIdleEpoch(t *testing.T) {
	key := testKey(t, 1)
	synctest.Test(t, func(t *testing.T) {
		s := newSealer(t)
		setKey(t, s, key)
		seal(t, s)
		s.mu.Lock()
		e := s.epoch
		s.mu.Unlock()
		time.Sleep(MaxAge)
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if e.aead != nil || s.epoch != nil {
			t.Error("the AEAD is still there after 15 minutes")
		}
	})
}

func TestSealerNeedsAKey(t *testing.T) {
	s := newSealer(t)
	if _, err := s.Seal(card(t), Context{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("Seal before SetKey gives %v, want ErrNoKey", err)
	}
	key := testKey(t, 9)
	setKey(t, s, key)
	clear(key.Key) // the sealer has its own copy
	if got := seal(t, s).Key; got != 9 {
		t.Errorf("sealed to key %d, want 9", got)
	}
	s.Close()
	if _, err := s.Seal(card(t), Context{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("Seal after Close gives %v, want ErrNoKey", err)
	}
}

func BenchmarkSeal(b *testing.B) {
	s := newSealer(b)
	if err := s.SetKey(testKey(b, 1)); err != nil {
		b.Fatal(err)
	}
	c := card(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Seal(c, Context{}); err != nil {
			b.Fatal(err)
		}
	}
}
