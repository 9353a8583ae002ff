package technician

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Report is what a check found, signed off by a person. It holds no number but
// its last four digits.
type Report struct {
	V       int          `json:"v"`
	Version string       `json:"version"` // of posd
	Device  Device       `json:"device"`
	Began   time.Time    `json:"began"`
	Ended   time.Time    `json:"ended"`
	Steps   []StepResult `json:"steps"`
	Passed  bool         `json:"passed"`
	By      string       `json:"by"` // who signs it off; empty: nobody
	// Digest is the SHA-256 of the report in JSON, without it: a report that was
	// changed afterwards does not have it.
	Digest string `json:"digest,omitempty"`
}

func (r Report) digest() string {
	r.Digest = ""
	text, err := json.Marshal(r)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Intact reports whether a report is as it was signed off.
func (r Report) Intact() bool { return r.Digest != "" && r.Digest == r.digest() }

// Text gives the report for people.
func (r Report) Text() string {
	var b strings.Builder
	line := func(key, format string, a ...any) { fmt.Fprintf(&b, "%-12s %s\n", key, fmt.Sprintf(format, a...)) }
	fmt.Fprintf(&b, "Acceptance of a device\n\n")
	line("Device", "%s (%s)", r.Device.Name, r.Device.Role)
	line("Product", "%s %s", r.Device.Product, r.Device.ID)
	line("Driver", "%s, posd %s", r.Device.Driver, r.Version)
	line("Port", "%s", r.Device.Port)
	line("Checked", "%s to %s", r.Began.Local().Format(time.DateTime), r.Ended.Local().Format(time.TimeOnly))
	for i, s := range r.Steps {
		fmt.Fprintf(&b, "\n%d. %s: %s (%.0f s)\n", i+1, s.Title, strings.ToUpper(string(s.Result)), s.Took)
		for _, remark := range s.Remarks {
			fmt.Fprintf(&b, "   %s\n", remark)
		}
	}
	result := "PASSED"
	if !r.Passed {
		result = "FAILED"
	}
	fmt.Fprintf(&b, "\n")
	line("Result", "%s", result)
	signed := r.By
	if signed == "" {
		signed = "nobody"
	}
	line("Signed off", "by %s", signed)
	line("Digest", "%s", r.Digest)
	return b.String()
}
