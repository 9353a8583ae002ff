package drivers

import (
	"fmt"
	"maps"
	"time"

	"posd/drivers/driver"
	"posd/msr"
)

// The statistics of UnifiedPOS 1.14 that posd keeps (appendix on device
// statistics). The names of tracks have their number after "Track".
const (
	statGoodScan      = "GoodScanCount"   // scanner: labels that could be read
	statGoodRead      = "GoodReadCount"   // card reader, keypad: cards and numbers that could be read
	statFailedRead    = "FailedReadCount" // all: what could not be read
	statUnreadable    = "UnreadableCardCount"
	statCommunication = "CommunicationErrorCount" // the device went away, or the line was disturbed
	statStartSentinel = "MissingStartSentinelTrack%dCount"
	statParityLRC     = "ParityLRCErrorTrack%dCount"
)

// Statistics is what a device has done since its installation, by the names of
// UnifiedPOS. They are kept across restarts.
type Statistics struct {
	Since    time.Time         `json:"since"`              // UnifiedPOS InstallationDate
	LastRead time.Time         `json:"last_read,omitzero"` // when something was read
	Counts   map[string]uint64 `json:"counts"`
	Refusals map[string]uint64 `json:"refusals"` // what could not be read, by the code that says why
	Dropped  uint64            `json:"dropped"`  // readings that nobody took
	Unsent   uint64            `json:"unsent"`   // what the device did not take
}

func newStatistics(now time.Time) Statistics {
	return Statistics{Since: now.UTC().Truncate(time.Second), Counts: map[string]uint64{}, Refusals: map[string]uint64{}}
}

// Good is how many readings could be read.
func (s Statistics) Good() uint64 { return s.Counts[statGoodScan] + s.Counts[statGoodRead] }

// Errors is how many could not.
func (s Statistics) Errors() uint64 { return s.Counts[statFailedRead] }

func (s Statistics) clone() Statistics {
	s.Counts, s.Refusals = maps.Clone(s.Counts), maps.Clone(s.Refusals)
	return s
}

// maxRefusals is how many codes are told apart: more than there are.
const maxRefusals = 100

// count counts a reading.
func (s *Statistics) count(r *driver.Reading) {
	s.LastRead = r.At
	for _, t := range r.Swipe.Tracks {
		s.track(t)
	}
	p := r.Problem()
	switch {
	case p != nil:
		s.Counts[statFailedRead]++
		s.refuse(p.Code)
	case r.Type == driver.Scan:
		s.Counts[statGoodScan]++
	default:
		s.Counts[statGoodRead]++
	}
	if r.Type == driver.Swipe && r.Swipe.Unreadable() {
		s.Counts[statUnreadable]++
	}
}

func (s *Statistics) refuse(code string) {
	if _, known := s.Refusals[code]; known || len(s.Refusals) < maxRefusals {
		s.Refusals[code]++
	}
}

func (s *Statistics) track(t msr.Track) {
	switch t.Code {
	case msr.CodeStartSentinel:
		s.Counts[fmt.Sprintf(statStartSentinel, t.Number)]++
	case msr.CodeParity, msr.CodeLRC:
		s.Counts[fmt.Sprintf(statParityLRC, t.Number)]++
	}
}
