package sim

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"posd/tid"
)

// The keys of the keypad, and what the card reader sends of a card that it
// could not read.
const (
	keyEnter   = '\r'
	keyBack    = '\b'
	keyClear   = 0x1b
	keyClose   = '*'
	errorTrack = "%E?;E?\r"
)

// CommandError is a command that cannot be understood.
type CommandError struct{ Reason string }

func (e *CommandError) Error() string { return e.Reason }

func misuse(format string, a ...any) error { return &CommandError{fmt.Sprintf(format, a...)} }

// verb is one command.
type verb struct {
	name string
	arg  string // what follows it; "" for nothing
	// parse checks what follows, and gives what is to be done.
	parse func(s *Sim, arg []byte) (action, error)
}

// action plays something.
type action func(ctx context.Context) error

func verbs() []verb {
	return []verb{
		{"scan", "LABEL", parseScan},
		{"swipe", "NUMBER", parseSwipe},
		{"swipe-error", "", func(s *Sim, _ []byte) (action, error) { return s.sending(MSR, []byte(errorTrack)) }},
		{"key", "NUMBER", parseKeys},
		{"key-clear", "", func(s *Sim, _ []byte) (action, error) { return s.typing([]byte{keyClear}) }},
		{"key-close", "", func(s *Sim, _ []byte) (action, error) { return s.typing([]byte{keyClose}) }},
		{"press", "KEY", parsePress},
		{"wait", "TIME", parseWait},
		{"unplug", "DEVICE", parseUnplug},
		{"plug", "DEVICE", parsePlug},
		{"send", "DEVICE HEX", parseSend},
	}
}

// Do plays one command. The line says what was played, without a number but
// for its last four digits; it is empty for a blank line or comment. A command
// that cannot be understood is a *CommandError.
func (s *Sim) Do(ctx context.Context, command string) (string, error) {
	return s.do(ctx, []byte(command))
}

// do is Do, and wipes the command.
func (s *Sim) do(ctx context.Context, command []byte) (string, error) {
	defer clear(command)
	play, said, err := s.parse(command)
	if err != nil || play == nil {
		return "", err
	}
	if err := play(ctx); err != nil {
		return "", fmt.Errorf("%s: %w", said, err)
	}
	return "ok " + said, nil
}

// parse gives the action of a command, nil for none, and what to say of it.
func (s *Sim) parse(command []byte) (action, string, error) {
	name, arg, _ := bytes.Cut(bytes.TrimSpace(command), []byte(" "))
	arg = bytes.TrimSpace(arg)
	if len(name) == 0 || name[0] == '#' {
		return nil, "", nil
	}
	all := verbs()
	at := slices.IndexFunc(all, func(v verb) bool { return v.name == string(name) })
	if at < 0 {
		var names []string
		for _, v := range all {
			names = append(names, v.name)
		}
		return nil, "", misuse("this is no command: there are %s", strings.Join(names, ", "))
	}
	v := all[at]
	if (v.arg == "") != (len(arg) == 0) {
		return nil, "", misuse("it is: %s", strings.TrimSpace(v.name+" "+v.arg))
	}
	said := strings.TrimSpace(v.name + " " + s.spoken(v.name, arg))
	play, err := v.parse(s, arg)
	var bad *CommandError
	if errors.As(err, &bad) {
		err = misuse("%s: %s", v.name, bad.Reason)
	}
	return play, said, err
}

// spoken is an argument as people may see it.
func (s *Sim) spoken(verb string, arg []byte) string {
	switch verb {
	case "scan":
		if !mayBeCard(arg) {
			return string(arg)
		}
		fallthrough
	case "swipe", "key":
		return strings.Repeat("*", max(0, len(arg)-4)) + string(arg[max(0, len(arg)-4):])
	case "send":
		device, data, _ := bytes.Cut(arg, []byte(" "))
		return fmt.Sprintf("%s, %d bytes", device, len(bytes.Join(bytes.Fields(data), nil))/2)
	}
	return string(arg)
}

// mayBeCard reports whether a label is longer than a GTIN and may be the number
// of a card.
func mayBeCard(label []byte) bool {
	return len(label) >= 15 && len(label) <= 19 && len(bytes.Trim(label, "0123456789")) == 0 && tid.Luhn(label)
}

// sending plays bytes on a device, and wipes them.
func (s *Sim) sending(device string, b []byte) (action, error) {
	w, err := s.wire(device)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		defer clear(b)
		return w.send(ctx, b)
	}, nil
}

func (s *Sim) wire(device string) (*wire, error) {
	if w := s.wires[device]; w != nil {
		return w, nil
	}
	return nil, misuse("no %q is simulated: there are %s", device, strings.Join(s.opt.Devices, ", "))
}

// typing plays keys at a person's pace, and wipes them.
func (s *Sim) typing(keys []byte) (action, error) {
	w, err := s.wire(Keypad)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		defer clear(keys)
		for i := range keys {
			if err := w.send(ctx, keys[i:i+1]); err != nil {
				return err
			}
			if !s.opt.Fast && !sleep(ctx, keyTime) {
				return ctx.Err()
			}
		}
		return nil
	}, nil
}

func parseScan(s *Sim, arg []byte) (action, error) {
	return s.sending(Scanner, append(bytes.Clone(arg), '\r'))
}

// digits refuses what is no number, without repeating it.
func digits(arg []byte, most int) error {
	if len(arg) > most || bytes.IndexFunc(arg, func(r rune) bool { return r < '0' || r > '9' }) >= 0 {
		return misuse("a number has 1 to %d digits and nothing else", most)
	}
	return nil
}

func parseSwipe(s *Sim, arg []byte) (action, error) {
	if err := digits(arg, 26); err != nil {
		return nil, err
	}
	return s.sending(MSR, tracks(arg, time.Now(), s.opt.LRC))
}

func parseKeys(s *Sim, arg []byte) (action, error) {
	if err := digits(arg, 40); err != nil {
		return nil, err
	}
	keys := make([]byte, 0, len(arg)+1)
	return s.typing(append(append(keys, arg...), keyEnter))
}

func parsePress(s *Sim, arg []byte) (action, error) {
	if len(arg) == 1 {
		return s.typing(bytes.Clone(arg))
	}
	switch strings.ToLower(string(arg)) {
	case "enter":
		return s.typing([]byte{keyEnter})
	case "clear":
		return s.typing([]byte{keyClear})
	case "close":
		return s.typing([]byte{keyClose})
	case "back":
		return s.typing([]byte{keyBack})
	}
	return nil, misuse("a key is one character, Enter, Clear, Close or Back")
}

func parseWait(_ *Sim, arg []byte) (action, error) {
	d, err := time.ParseDuration(string(arg))
	if err != nil || d < 0 {
		return nil, misuse("%q is no time such as 500ms", arg)
	}
	return func(ctx context.Context) error {
		if !sleep(ctx, d) {
			return ctx.Err()
		}
		return nil
	}, nil
}

func parseUnplug(s *Sim, arg []byte) (action, error) {
	w, err := s.wire(string(arg))
	if err != nil {
		return nil, err
	}
	return w.unplug, nil
}

func parsePlug(s *Sim, arg []byte) (action, error) {
	w, err := s.wire(string(arg))
	if err != nil {
		return nil, err
	}
	return func(context.Context) error { return w.plug() }, nil
}

func parseSend(s *Sim, arg []byte) (action, error) {
	device, data, _ := bytes.Cut(arg, []byte(" "))
	packed := bytes.Join(bytes.Fields(data), nil)
	b := make([]byte, hex.DecodedLen(len(packed)))
	if n, err := hex.Decode(b, packed); err != nil || n == 0 {
		return nil, misuse("the bytes are not in hex, such as 30 0D")
	}
	return s.sending(string(device), b)
}
