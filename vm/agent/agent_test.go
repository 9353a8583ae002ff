package agent

import (
	"net"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	host, guest := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(guest) }()
	c := NewClient(host)
	for _, call := range []struct {
		r    Request
		out  string
		code int
		err  string
	}{
		{Request{Args: []string{"sh", "-c", "echo $WORD; echo oops >&2; exit 3"}, Env: []string{"WORD=hello"}}, "hello\noops\n", 3, ""},
		{Request{Args: []string{"true"}}, "", 0, ""},
		{Request{Args: []string{"/does/not/exist"}}, "", 0, "no such file"},
		{Request{}, "", 0, "nothing to run"},
		{Request{Args: []string{"sh", "-c", "kill -9 $$"}}, "", -1, ""},
	} {
		var out strings.Builder
		code, err := c.Run(call.r, &out)
		if out.String() != call.out || code != call.code || (err != nil) != (call.err != "") {
			t.Errorf("%q: %q, %d, %v", call.r.Args, out.String(), code, err)
		}
		if err != nil && !strings.Contains(err.Error(), call.err) {
			t.Errorf("%q: %v, want %q", call.r.Args, err, call.err)
		}
	}
	host.Close()
	if err := <-ended; err == nil {
		t.Error("Serve went on")
	}
	if _, err := c.Run(Request{Args: []string{"true"}}, nil); err == nil {
		t.Error("a closed port answered")
	}
}
