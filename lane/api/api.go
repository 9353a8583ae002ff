// Package api is the local API of a lane: HTTP and JSON over a Unix socket,
// for the POS program on the same machine and for the technician's commands.
// docs/api/posd.yaml describes it. Who may use it is decided by the socket's
// permissions.
//
// No answer holds digits of a card beyond the last four; an identity is named
// by its DeIdentTID or by its last four digits, never by both.
package api

import (
	"context"
	"io"
	"time"

	"posd/basket"
	"posd/lane"
)

// Lane is what the API needs of a lane. *lane.Lane is one.
type Lane interface {
	Status(ctx context.Context) (lane.Status, error)
	Current(ctx context.Context) (b basket.Basket, ok bool, err error)
	Start(ctx context.Context, h lane.Header) (basket.Basket, error)
	Close(ctx context.Context) (basket.Basket, error)
	Void(ctx context.Context) (basket.Basket, error)
	VoidLine(ctx context.Context, number int) (basket.Basket, error)
	AddLine(ctx context.Context, label string, quantity int) (basket.Basket, error)
	Outbox(ctx context.Context) (basket.Outbox, error)
	Trace(ctx context.Context, id basket.ID) (basket.Trace, error)
	Subscribe() (events <-chan lane.Event, cancel func())
}

// Device is how one of the lane's devices does. What it counts goes on since it
// was installed.
type Device struct {
	Name       string            `json:"name"`
	Role       string            `json:"role"` // scanner, msr, keypad
	Driver     string            `json:"driver"`
	ID         string            `json:"id,omitempty"`      // of USB or Bluetooth: vendor:product, :serial, @port
	Port       string            `json:"port"`              // its node; empty if it is not plugged in
	Product    string            `json:"product,omitempty"` // as it calls itself
	Adopted    bool              `json:"adopted"`           // it was found, and is not in the configuration
	State      string            `json:"state"`             // reading, missing, claimed-by-other, no-permission, ambiguous, disabled, failed
	Reason     string            `json:"reason,omitempty"`  // why it is not being read
	Remedy     string            `json:"remedy,omitempty"`  // what a person can do about that
	Good       uint64            `json:"good"`              // readings that could be read
	Errors     uint64            `json:"errors"`            // input that could not be read
	Dropped    uint64            `json:"dropped"`           // readings that the lane did not take
	Unsent     uint64            `json:"unsent"`            // signals that the device did not take
	Since      time.Time         `json:"since,omitzero"`    // since when is counted
	LastRead   time.Time         `json:"last_read,omitzero"`
	Statistics map[string]uint64 `json:"statistics"` // by the names of UnifiedPOS
	Refusals   map[string]uint64 `json:"refusals"`   // errors by their code
}

// The states of a device that need nobody's attention.
const (
	Reading  = "reading"
	Disabled = "disabled"
)

// Enrolment is who the lane is to central.
type Enrolment struct {
	Enrolled   bool      `json:"enrolled"`
	Name       string    `json:"name,omitempty"`        // hhid://TENANT/SHOP/lane/LANE
	ValidUntil time.Time `json:"valid_until,omitzero"`  // end of the certificate
	Renewal    string    `json:"renewal,omitempty"`     // why the certificate could not be renewed, the last time
	Keys       string    `json:"keys_error,omitempty"`  // why there is no fresh key of central to seal with
	Clock      string    `json:"clock_error,omitempty"` // how this machine's clock differs from central's
}

// Status is the answer of GET /v1/status.
type Status struct {
	Version   string      `json:"version"`
	StartedAt time.Time   `json:"started_at"`
	OK        bool        `json:"ok"`       // nothing is in Problems
	Problems  []string    `json:"problems"` // what a person should look at
	Enrolment Enrolment   `json:"enrolment"`
	Lane      lane.Status `json:"lane"`
	Devices   []Device    `json:"devices"`
}

// NewLine is the body of POST /v1/basket/lines.
type NewLine struct {
	Label    string `json:"label"`              // as it would be scanned
	Quantity int    `json:"quantity,omitempty"` // 0: one piece, as the basket's kind has it
}

// Program is what the API tells beside the lane itself.
type Program struct {
	Version   string
	StartedAt time.Time
	Devices   func() []Device
	Enrolment func() Enrolment
	// Listen tells what a device sends, or all do where the name is empty, until
	// ctx ends. It calls ready when nothing is missed from then on. ErrBusy if
	// somebody listens already.
	Listen func(ctx context.Context, device string, ready func(), tell func(any)) error
	// Record writes a recording of what a device sends, without numbers but
	// published test numbers, likewise.
	Record func(ctx context.Context, device string, testCards bool, ready func(), w io.Writer) error
}

// status puts together how everything is.
func (s *Server) status(ctx context.Context) (Status, error) {
	l, err := s.lane.Status(ctx)
	if err != nil {
		return Status{}, err
	}
	if l.Counts == nil {
		l.Counts = map[string]uint64{}
	}
	st := Status{
		Version: s.program.Version, StartedAt: s.program.StartedAt, Enrolment: s.program.Enrolment(),
		Lane: l, Devices: s.devices(),
	}
	st.Problems = problems(st)
	st.OK = len(st.Problems) == 0
	return st, nil
}

func (s *Server) devices() []Device {
	devices := append([]Device{}, s.program.Devices()...)
	for i := range devices {
		d := &devices[i]
		if d.Statistics == nil {
			d.Statistics = map[string]uint64{}
		}
		if d.Refusals == nil {
			d.Refusals = map[string]uint64{}
		}
	}
	return devices
}

// problems says what a person should look at.
func problems(st Status) []string {
	found := []string{}
	note := func(what, why string) {
		if why != "" {
			found = append(found, what+": "+why)
		}
	}
	note("nothing can be kept", st.Lane.JournalError)
	for _, d := range st.Devices {
		if d.State != Reading && d.State != Disabled {
			note("device "+d.Name+" is "+d.State, join(d.Reason, d.Remedy))
		}
	}
	if !st.Enrolment.Enrolled {
		note("not enrolled", "cards and numbers are refused until this lane is enrolled: run posd enroll, then restart posd")
	}
	note("central's keys", st.Enrolment.Keys)
	note("the certificate is not renewed", st.Enrolment.Renewal)
	note("the clock", st.Enrolment.Clock)
	if st.Lane.Central.State == "failing" {
		note("central does not answer", st.Lane.Central.Reason)
	}
	if st.Lane.Main.State == "failing" {
		note("the POS main computer does not answer", st.Lane.Main.Reason)
	}
	if st.Lane.Refused > 0 {
		found = append(found, "the POS main computer refused baskets: see posd outbox")
	}
	return found
}

func join(reason, remedy string) string {
	switch {
	case reason == "":
		return "it is not being read"
	case remedy == "":
		return reason
	}
	return reason + ": " + remedy
}
