package machine

import (
	"encoding/json"
	"fmt"
	"net"
)

// monitor talks to qemu (QMP, the QEMU Machine Protocol).
type monitor struct {
	conn net.Conn
	dec  *json.Decoder
}

// answer is a line of qemu's: a greeting, an event, or the end of a command.
type answer struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Desc string `json:"desc"`
	} `json:"error"`
}

func newMonitor(conn net.Conn) (*monitor, error) {
	m := &monitor{conn, json.NewDecoder(conn)}
	var greeting json.RawMessage
	if err := m.dec.Decode(&greeting); err != nil {
		return nil, fmt.Errorf("greet qemu: %v", err)
	}
	return m, m.do("qmp_capabilities", nil, nil)
}

// do runs a command and puts what it returns into result, where that is not nil.
func (m *monitor) do(command string, arguments, result any) error {
	ask := map[string]any{"execute": command}
	if arguments != nil {
		ask["arguments"] = arguments
	}
	if err := json.NewEncoder(m.conn).Encode(ask); err != nil {
		return fmt.Errorf("qemu %s: %v", command, err)
	}
	for {
		var a answer
		switch err := m.dec.Decode(&a); {
		case err != nil:
			return fmt.Errorf("qemu %s: %v", command, err)
		case a.Error != nil:
			return fmt.Errorf("qemu %s: %s", command, a.Error.Desc)
		case a.Return != nil && result != nil:
			return json.Unmarshal(a.Return, result)
		case a.Return != nil:
			return nil
		}
	}
}
