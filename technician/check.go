package technician

import (
	"fmt"
	"time"

	"posd/drivers/driver"
)

// Device is the device that is checked, as far as a report tells.
type Device struct {
	Name    string `json:"name"`
	Role    string `json:"role"`
	Driver  string `json:"driver"`
	ID      string `json:"id,omitempty"`
	Port    string `json:"port"`
	Product string `json:"product,omitempty"`
	State   string `json:"state"`
}

// Result is how a step of a check ended.
type Result string

// The results of a step.
const (
	Passed  Result = "passed"
	Failed  Result = "failed"
	Skipped Result = "skipped"
)

// StepResult is one step of a check, done.
type StepResult struct {
	Step    string   `json:"step"`
	Title   string   `json:"title"`
	Result  Result   `json:"result"`
	Remarks []string `json:"remarks"`
	Took    float64  `json:"took"` // seconds
}

// step is one thing that a person is asked to do.
type step struct {
	key, title, prompt string
	optional           bool
	// heard judges what the device sent: whether the step is done, and a remark.
	heard func(c *Check, h Heard) (done bool, remark string)
	// state judges how the device is; nil: it does not matter.
	state func(c *Check, state string) (done bool, remark string)
}

// maxFaults is how often a device may fail within a step.
const maxFaults = 3

// Check guides a person through the acceptance of a device. It is pure: it is
// told what happens, and says what to ask for next.
type Check struct {
	report Report
	steps  []step
	began  time.Time // of the step
	now    StepResult
	good   []string // what was read in this step
	faults int
	gone   bool // the device has been seen to be unplugged in this step
}

// NewCheck begins the check of a device.
func NewCheck(d Device, version string, now time.Time) (*Check, error) {
	c := &Check{report: Report{V: 1, Version: version, Device: d, Began: now.UTC(), Steps: []StepResult{}}}
	switch driver.Role(d.Role) {
	case driver.Scanner:
		c.steps = scannerSteps()
	case driver.MSR:
		c.steps = cardSteps()
	case driver.Keypad:
		c.steps = keypadSteps()
	default:
		return nil, fmt.Errorf("check device %q: there is no check for role %q", d.Name, d.Role)
	}
	c.begin(now)
	return c, nil
}

// Prompt says what a person is to do now; false if the check is over.
func (c *Check) Prompt() (text string, optional, more bool) {
	if len(c.steps) == 0 {
		return "", false, false
	}
	return c.steps[0].prompt, c.steps[0].optional, true
}

func (c *Check) begin(now time.Time) {
	c.began, c.good, c.faults, c.gone = now, nil, 0, false
	if len(c.steps) > 0 {
		c.now = StepResult{Step: c.steps[0].key, Title: c.steps[0].title, Remarks: []string{}}
	}
}

// Heard tells of what the device sent, and gives a remark for the person.
func (c *Check) Heard(h Heard, now time.Time) string {
	if len(c.steps) == 0 || c.steps[0].heard == nil {
		return ""
	}
	done, remark := c.steps[0].heard(c, h)
	return c.judge(done, remark, now)
}

// State tells how the device is, and gives a remark for the person.
func (c *Check) State(state string, now time.Time) string {
	if len(c.steps) == 0 || c.steps[0].state == nil {
		return ""
	}
	done, remark := c.steps[0].state(c, state)
	return c.judge(done, remark, now)
}

func (c *Check) judge(done bool, remark string, now time.Time) string {
	if remark != "" {
		c.now.Remarks = append(c.now.Remarks, remark)
	}
	switch {
	case done:
		c.end(Passed, now)
	case c.faults >= maxFaults:
		c.end(Failed, now)
	}
	return remark
}

// Skip passes over a step, as a person wants to. A step that is not optional has
// failed.
func (c *Check) Skip(why string, now time.Time) {
	if len(c.steps) == 0 {
		return
	}
	c.now.Remarks = append(c.now.Remarks, why)
	if c.steps[0].optional {
		c.end(Skipped, now)
		return
	}
	c.end(Failed, now)
}

func (c *Check) end(r Result, now time.Time) {
	c.now.Result, c.now.Took = r, now.Sub(c.began).Seconds()
	c.report.Steps = append(c.report.Steps, c.now)
	c.steps = c.steps[1:]
	c.begin(now)
}

// Report gives the report of a check that is over, signed off by whoever did
// it.
func (c *Check) Report(by string, now time.Time) Report {
	r := c.report
	r.By, r.Ended, r.Passed = by, now.UTC(), true
	for _, s := range r.Steps {
		r.Passed = r.Passed && s.Result != Failed
	}
	r.Digest = r.digest()
	return r
}
