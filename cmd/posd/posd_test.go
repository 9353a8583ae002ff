package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"posd/basket"
	"posd/cli"
	"posd/drivers"
	"posd/drivers/driver"
	"posd/identity"
	"posd/journal"
	"posd/lane"
	"posd/lane/api"
	"posd/msr"
	"posd/scanner"
	"posd/tid"
)

func TestFrameOf(t *testing.T) {
	at := time.Now()
	scan, swipe := scanner.Scan{Label: "1"}, msr.Swipe{Source: msr.SourceCard}
	acked := false
	f := frameOf(driver.Reading{Type: driver.Scan, Device: "a", At: at, Scan: scan, Ack: func(bool) { acked = true }})
	if f.Ack(true); f.Device != "a" || !f.At.Equal(at) || f.Scan.Label != scan.Label || !acked {
		t.Errorf("%+v", f)
	}
	if f := frameOf(driver.Reading{Type: driver.Swipe, Swipe: swipe}); f.Swipe.Source != swipe.Source || f.Key != "" || f.Fault != nil {
		t.Errorf("%+v", f)
	}
	sealed := &msr.Encrypted{Tracks: [3]msr.Secret{1: msr.NewSecret([]byte("secret"))}}
	swipe = msr.Swipe{Source: msr.SourceCard, Encrypted: sealed, Code: msr.CodeEncrypted, Reason: "what to do"}
	f = frameOf(driver.Reading{Type: driver.Encrypted, Swipe: swipe})
	if f.Swipe != nil || f.Fault == nil || *f.Fault != (lane.Fault{Code: "encrypted", Reason: "what to do"}) || sealed.Tracks[1].Len() != 0 {
		t.Errorf("%+v, %v", f, sealed)
	}
	if f := frameOf(driver.Failure(at, "c", "r")); f.Fault == nil || *f.Fault != (lane.Fault{Code: "c", Reason: "r"}) {
		t.Errorf("%+v", f)
	}
	for kind, want := range map[msr.EntryKind]lane.Key{
		msr.EntryClose: lane.KeyClose, msr.EntryClear: lane.KeyClear, msr.EntryTimeout: lane.KeyTimeout,
	} {
		if f := frameOf(driver.Reading{Type: driver.Key, Key: kind}); f.Key != want {
			t.Errorf("%s becomes %s", kind, f.Key)
		}
	}
}

// lateClock is the machine's clock, that many nanoseconds later.
type lateClock struct {
	lane.SystemClock
	by atomic.Int64
}

func (c *lateClock) Boot() time.Duration { return c.SystemClock.Boot() + time.Duration(c.by.Load()) }

// newPosd is a daemon without devices, enrolment and API; its lane does not run.
func newPosd(t *testing.T, clock lane.Clock) *posd {
	t.Helper()
	l, err := lane.New(t.Context(), lane.Config{}, lane.Deps{Journal: journal.NewMemory(nil), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	m, err := drivers.New(drivers.Config{Sink: offer(l)})
	if err != nil {
		t.Fatal(err)
	}
	return &posd{log: cli.Env{Stderr: &text{}}.Logger(0), lane: l, devices: m, remote: &remote{}}
}

// TestSwipesThatDoNotFitAreWiped fills the lane's queue.
func TestSwipesThatDoNotFitAreWiped(t *testing.T) {
	d := newPosd(t, nil)
	sink := offer(d.lane)
	for n := 0; sink(driver.Failure(time.Time{}, "", "")); n++ {
		if n > 1<<20 {
			t.Fatal("the queue has no end")
		}
	}
	card := msr.Reader{Rules: tid.Rules{Payment: true}}.Read([]byte(";" + anna + "=30121010000000000000?\r"))
	if card.TID.IsZero() || sink(driver.Reading{Type: driver.Swipe, Swipe: card}) {
		t.Fatal("the swipe was not read, or taken")
	}
	card.TID.Use(func(digits []byte) {
		if len(digits) > 0 {
			t.Error("the number of a swipe that nobody took is still there")
		}
	})
}

// TestWatchdogStarves feeds the watchdog only while the lane's loop turns.
func TestWatchdogStarves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	told := func() string {
		b := make([]byte, 4096)
		n, err := socket.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	clock := &lateClock{SystemClock: lane.NewSystemClock()}
	d := newPosd(t, clock)
	clock.by.Store(int64(time.Minute))
	d.beat(t.Context(), true)
	if got := told(); strings.Contains(got, "WATCHDOG=1") || !strings.Contains(got, "STATUS=the lane's loop is stuck") {
		t.Errorf("of a lane that does not run systemd was told %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.lane.Run(ctx) }()
	defer func() { cancel(); <-done }()
	if _, _, err := d.lane.Current(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.beat(t.Context(), true)
	if got := told(); !strings.Contains(got, "\nWATCHDOG=1") || !strings.Contains(got, "STATUS=0 of 0 devices read, no basket open, not enrolled") {
		t.Errorf("of a lane that runs systemd was told %q", got)
	}
}

func TestStatusLine(t *testing.T) {
	st := lane.Status{Basket: &lane.Summary{Lines: 2}, Central: lane.Link{State: "up"}, Main: lane.Link{State: "failing"}, Queued: 3, JournalError: "disk full"}
	got := statusLine(st, []api.Device{{State: api.Reading}, {State: "missing"}}, true)
	want := "1 of 2 devices read, basket open with 2 lines, central up, POS main computer failing, 3 to send, NOTHING CAN BE KEPT: disk full"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSkewText(t *testing.T) {
	for _, c := range []struct {
		ahead time.Duration
		known bool
		want  string
	}{
		{0, false, ""},
		{25 * time.Hour, false, ""},
		{time.Minute, true, ""},
		{25 * time.Hour, true, "this machine's clock is 25h0m0s behind central's: set it"},
		{-25 * time.Hour, true, "this machine's clock is 25h0m0s ahead of central's: set it"},
	} {
		if got := skewText(c.ahead, c.known); got != c.want {
			t.Errorf("%s, %v: %q", c.ahead, c.known, got)
		}
	}
}

func TestEventLine(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 58, 12, 114e6, time.Local)
	id := basket.NewID()
	for _, c := range []struct {
		event lane.Event
		want  string
	}{
		{lane.Event{Type: "basket-opened", Basket: &id}, "basket-opened  " + id.String()},
		{lane.Event{Type: "scan", Device: "front", Line: &basket.Line{UPC: "a\x1b[2J", Quantity: 3, AddOn: "12", Problem: "check-digit"}},
			`scan           front  a\x1b[2J +12  3 pieces  doubtful: check-digit`},
		{lane.Event{Type: "swipe", Device: "reader", Kind: identity.Payment, Last4: "1111", Tracks: []msr.Track{{Number: 2, Code: "LRC"}}},
			"swipe          reader  payment number ending in 1111  track 2: LRC"},
		{lane.Event{Type: "refused", Code: "after-close", Reason: "again"}, "refused        after-close  again"},
	} {
		c.event.At = at
		if got := eventLine(cli.Palette{}, c.event); got != "09:58:12.114  "+c.want {
			t.Errorf("got  %q\nwant %q", got, "09:58:12.114  "+c.want)
		}
	}
}

func TestGuardMemory(t *testing.T) {
	if err := guardMemory(); err != nil {
		t.Fatal(err)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); dumpable != 0 || err != nil {
		t.Errorf("dumpable is %d, %v", dumpable, err)
	}
}
