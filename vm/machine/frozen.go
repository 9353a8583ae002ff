package machine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Frozen is a guest that was stopped in the middle of its life: its disk and its
// memory, of which any number of machines can be thawed.
type Frozen struct {
	image, dir string
	payload    string
}

const (
	diskFile   = "disk.img"
	memoryFile = "memory"
)

// Boot boots the guest of image in the folder dir, which is to be on a disk with 600 MB to
// spare, has prepare do what is to be done in it, and freezes it. The payload is a
// tar, which the guest unpacks over its root.
func Boot(ctx context.Context, image, dir, payload string, prepare func(*Machine) error) (*Frozen, error) {
	f := &Frozen{image, dir, payload}
	disk := filepath.Join(dir, diskFile)
	if out, err := exec.CommandContext(ctx, "cp", "--sparse=always", "--reflink=auto", filepath.Join(image, diskFile), disk).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("copy the guest's disk: %v: %s", err, out)
	}
	m, err := start(ctx, image, dir, drive(disk, "cache=unsafe"), "-drive", drive(payload, "readonly=on"))
	if err != nil {
		return nil, err
	}
	defer m.Kill()
	if err := prepare(m); err != nil {
		return nil, m.explain(ctx, err)
	}
	return f, m.explain(ctx, m.freeze(ctx, filepath.Join(dir, memoryFile)))
}

func drive(file, more string) string { return "file=" + file + ",format=raw,if=virtio," + more }

// freeze stops the machine and writes its memory to file.
func (m *Machine) freeze(ctx context.Context, file string) error {
	if err := m.qmp.do("stop", nil, nil); err != nil {
		return err
	}
	if err := m.qmp.do("migrate-set-parameters", map[string]any{"max-bandwidth": 1 << 40}, nil); err != nil {
		return err
	}
	if err := m.qmp.do("migrate", map[string]any{"uri": "exec:cat > '" + file + "'"}, nil); err != nil {
		return err
	}
	var state struct{ Status, Desc string }
	return m.poll(ctx, func() (bool, error) {
		err := m.qmp.do("query-migrate", nil, &state)
		if state.Status == "failed" {
			return false, fmt.Errorf("freeze the guest: %s", state.Desc)
		}
		return state.Status == "completed", err
	})
}

// Thaw gives a machine that goes on where the frozen one was stopped, until ctx
// ends. It writes to a copy of the disk, which goes away with it.
func (f *Frozen) Thaw(ctx context.Context) (*Machine, error) {
	dir, err := os.MkdirTemp(f.dir, "m")
	if err != nil {
		return nil, err
	}
	m, err := start(ctx, f.image, dir, drive(filepath.Join(f.dir, diskFile), "snapshot=on"),
		"-drive", drive(f.payload, "readonly=on"),
		"-incoming", "exec:cat '"+filepath.Join(f.dir, memoryFile)+"'")
	if err != nil {
		return nil, err
	}
	if err := m.goOn(ctx); err != nil {
		m.Kill()
		return nil, m.explain(ctx, err)
	}
	return m, nil
}

// goOn waits for the memory to be read, and lets the guest run.
func (m *Machine) goOn(ctx context.Context) error {
	var state struct{ Status string }
	if err := m.poll(ctx, func() (bool, error) {
		err := m.qmp.do("query-status", nil, &state)
		return state.Status != "inmigrate", err
	}); err != nil {
		return err
	}
	return m.qmp.do("cont", nil, nil)
}

// explain says what ended the machine, where that is why err came.
func (m *Machine) explain(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %v", context.Cause(ctx), err)
	}
	return err
}

// poll asks until done says so.
func (m *Machine) poll(ctx context.Context, done func() (bool, error)) error {
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.exited:
			return fmt.Errorf("qemu ended: %s", m.say.Bytes())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
