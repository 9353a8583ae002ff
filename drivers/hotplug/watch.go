package hotplug

import (
	"context"
	"errors"
	"fmt"
	"path"
	"reflect"
	"strings"
)

// Action is what happened to a node.
type Action string

// The actions.
const (
	Added   Action = "added"
	Removed Action = "removed" // Node is as it was last known
	// Changed: Node is how it is now; or nothing is to be seen in it, and its
	// permissions may have changed. A node that could not be opened is worth
	// another try.
	Changed Action = "changed"
	// Scanned comes once and has no node: what is there was told.
	Scanned Action = "scanned"
)

// Change is something that happened to a node. Nodes are told apart by Subsystem
// and Kernel; an Added one was not there before, the others were.
type Change struct {
	Action Action
	Node   Node
}

// Watch tells of every node that is there, then Scanned, then what changes, until
// ctx ends: then it returns nil. change is called by the goroutine of Watch; while
// it runs, events wait, and if too many do Watch scans again. Listening begins
// before the first look, so that nothing falls between. Where nothing can be
// listened to, what is there is told all the same before the error is returned.
func Watch(ctx context.Context, sysfs string, change func(Change)) error {
	return watch(ctx, sysfs, Listen, change)
}

func watch(ctx context.Context, sysfs string, listen func() (*Socket, error), change func(Change)) error {
	socket, err := listen()
	if err != nil {
		w := newWatcher(sysfs, change)
		return errors.Join(err, w.begin())
	}
	defer socket.Close()
	return Follow(ctx, sysfs, socket, change)
}

// Follow is Watch with the events of a source, which has to be listening already.
func Follow(ctx context.Context, sysfs string, source Source, change func(Change)) error {
	w := newWatcher(sysfs, change)
	if err := w.begin(); err != nil {
		return err
	}
	for {
		e, err := source.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrLost):
			err = w.scan()
		case err == nil:
			err = w.event(e)
		}
		if err != nil {
			return fmt.Errorf("watch devices: %w", err)
		}
	}
}

// watcher knows the nodes that were told. Events only say where to look: what is
// told is what sysfs says then, so that late and repeated events do no harm.
type watcher struct {
	sysfs  string
	known  map[key]Node
	change func(Change)
}

func newWatcher(sysfs string, change func(Change)) *watcher {
	return &watcher{sysfs: sysfs, known: map[key]Node{}, change: change}
}

func (w *watcher) begin() error {
	if err := w.scan(); err != nil {
		return err
	}
	w.change(Change{Action: Scanned})
	return nil
}

// scan tells what has gone, then what has come. What stays is told too: its event
// may be among those that were lost.
func (w *watcher) scan() error {
	nodes, err := Scan(w.sysfs)
	if err != nil {
		return err
	}
	there := map[key]Node{}
	for _, n := range nodes {
		there[n.key()] = n
	}
	for k, n := range w.known {
		if there[k].instance != n.instance {
			w.remove(k)
		}
	}
	for _, n := range nodes {
		w.found(n, true)
	}
	return nil
}

func (w *watcher) event(e Event) error {
	if e.OldPath != "" {
		if err := w.moved(e.OldPath); err != nil {
			return err
		}
	}
	k := key{e.Subsystem, e.kernel()}
	switch {
	case e.Subsystem == USB && isUSBInterface(k.kernel):
		return w.recheck(key{USB, path.Base(path.Dir(e.DevPath))})
	case e.Action == actionAdd, e.Action == actionChange:
		return w.look(k, true)
	case e.Action == actionMove:
		return w.look(k, false)
	}
	return w.recheck(k)
}

// moved looks again at every node that was at or below a path. Of those below the
// kernel says nothing.
func (w *watcher) moved(old string) error {
	for k, n := range w.known {
		if n.SysPath == old || strings.HasPrefix(n.SysPath, old+"/") {
			if err := w.recheck(k); err != nil {
				return err
			}
		}
	}
	return nil
}

// look tells of a node that has an event of its own. If it is as it was, that is
// told only if asked for.
func (w *watcher) look(k key, tell bool) error {
	n, ok, err := Class(w.sysfs, k.subsystem, k.kernel)
	switch {
	case err != nil:
		return err
	case ok:
		w.found(n, tell)
	default:
		w.remove(k)
	}
	return nil
}

// recheck tells what became of a node that was told. Another of its name is left
// to its own event: that comes when it is ready.
func (w *watcher) recheck(k key) error {
	n, ok, err := Class(w.sysfs, k.subsystem, k.kernel)
	switch {
	case err != nil:
		return err
	case ok && n.instance == w.known[k].instance:
		w.found(n, false)
	default:
		w.remove(k)
	}
	return nil
}

func (w *watcher) found(n Node, tell bool) {
	was, known := w.known[n.key()]
	if known && was.instance != n.instance {
		w.remove(n.key())
		known = false
	}
	w.known[n.key()] = n
	switch {
	case !known:
		w.change(Change{Added, n})
	case tell || !reflect.DeepEqual(was, n):
		w.change(Change{Changed, n})
	}
}

func (w *watcher) remove(k key) {
	if n, known := w.known[k]; known {
		delete(w.known, k)
		w.change(Change{Removed, n})
	}
}
