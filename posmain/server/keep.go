package server

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	expireEvery  = time.Hour
	expireAtOnce = 100                   // baskets in a transaction, for which lanes wait
	expirePause  = 50 * time.Millisecond // between two of them
)

// Keep is for how long baskets are kept after they were closed. The zero value is for
// ever.
type Keep struct{ Months, Days int }

// minKeep is longer than lanes keep their own copies, which they send again when a
// log was restored.
const minKeep = 30 * 24 * time.Hour

// ParseKeep reads "26 months", "2 years", "90 days" or "13 weeks"; 30 days at least.
func ParseKeep(text string) (Keep, error) {
	number, unit, _ := strings.Cut(strings.TrimSpace(text), " ")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > 100_000 {
		return Keep{}, fmt.Errorf("%q is no time to keep baskets: give one such as %q or %q", text, "26 months", "90 days")
	}
	var k Keep
	switch strings.TrimSuffix(strings.TrimSpace(unit), "s") {
	case "day":
		k.Days = n
	case "week":
		k.Days = 7 * n
	case "month":
		k.Months = n
	case "year":
		k.Months = 12 * n
	default:
		return Keep{}, fmt.Errorf("%q is no time to keep baskets: its unit must be days, weeks, months or years", text)
	}
	if begun := (time.Time{}); k.Before(begun).After(begun.Add(-minKeep)) && k != (Keep{Months: 1}) {
		return Keep{}, fmt.Errorf("baskets cannot be kept for %s only: lanes send them again for 14 days; give 30 days at least", text)
	}
	return k, nil
}

// Before is the time before which baskets are too old to be kept.
func (k Keep) Before(now time.Time) time.Time { return now.UTC().AddDate(0, -k.Months, -k.Days) }

// Expire deletes baskets that are older than they are kept, until ctx ends: at once,
// and then every hour. With the zero Keep it returns.
func (s *Server) Expire(ctx context.Context) {
	for s.Keep != (Keep{}) {
		if n, err := s.expire(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("delete old baskets", "err", err)
		} else if n > 0 {
			s.Log.Info("deleted old baskets", "baskets", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(expireEvery):
		}
	}
}

// expire deletes what is too old now, in small transactions.
func (s *Server) expire(ctx context.Context) (total int, err error) {
	before := s.Keep.Before(s.Now())
	for {
		n, err := s.Store.Expire(ctx, before, expireAtOnce)
		if total += n; err != nil || n < expireAtOnce {
			return total, err
		}
		select {
		case <-ctx.Done():
			return total, ctx.Err()
		case <-time.After(expirePause):
		}
	}
}
