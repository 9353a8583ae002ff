package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"posd/config"
	"posd/drivers"
	"posd/drivers/driver"
	"posd/lane/api"
	"posd/technician"
	"posd/tid"
)

// bench is where a technician's commands have their devices: those of the
// running posd, or, where none runs, devices that the command reads itself.
type bench interface {
	devices(ctx context.Context) ([]api.Device, error)
	// listen tells what a device sends, or all do where the name is empty.
	listen(ctx context.Context, device string, span time.Duration, ready func(), tell func(technician.Heard) error) error
	record(ctx context.Context, device string, testCards bool, span time.Duration, ready func(), write func([]byte) error) error
	close()
}

// benchOf gives a command a bench, by its flag --config.
func benchOf(cmd *cobra.Command) func(log *slog.Logger) (bench, error) {
	client := socketOf(cmd)
	return func(log *slog.Logger) (bench, error) {
		c, err := client()
		if err != nil {
			return nil, err
		}
		if _, err = c.Devices(cmd.Context()); !errors.Is(err, api.ErrNotRunning) {
			return running{c}, err
		}
		return ownBench(cmd.Context(), cmd.Flag("config").Value.String(), cmd.Flags().Changed("config"), log)
	}
}

// running is the posd that runs.
type running struct{ client *api.Client }

func (r running) devices(ctx context.Context) ([]api.Device, error) { return r.client.Devices(ctx) }

func (r running) listen(ctx context.Context, device string, span time.Duration, ready func(), tell func(technician.Heard) error) error {
	return r.client.Listen(ctx, device, span, ready, func(line []byte) error {
		var h technician.Heard
		if err := json.Unmarshal(line, &h); err != nil {
			return fmt.Errorf("read posd's answer: %v", err)
		}
		return tell(h)
	})
}

func (r running) record(ctx context.Context, device string, testCards bool, span time.Duration, ready func(), write func([]byte) error) error {
	return r.client.Record(ctx, device, testCards, span, ready, write)
}

func (running) close() {}

// own is a bench that reads the devices itself.
type own struct {
	manager *drivers.Manager
	rules   tid.Rules
	stop    func()
}

// testRules are those of a machine without a configuration.
func testRules() tid.Rules { return tid.Rules{Payment: true, Country: "US", Issuer: "0001"} }

func ownBench(ctx context.Context, path string, must bool, log *slog.Logger) (bench, error) {
	if err := guardMemory(); err != nil {
		return nil, err
	}
	o := &own{rules: testRules()}
	c, err := loadConfig(path)
	switch {
	case err == nil:
		o.rules = rules(c)
	case errors.Is(err, fs.ErrNotExist) && !must:
		c = config.Config{}
	default:
		return nil, err
	}
	if o.manager, err = drivers.New(drivers.Config{Devices: deviceConfigs(c), Discover: true, Rules: o.rules, Sink: drop, Log: log}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = o.manager.Run(ctx) })
	o.stop = func() { cancel(); wg.Wait() }
	select {
	case <-o.manager.Settled():
		return o, nil
	case <-ctx.Done():
		o.stop()
		return nil, ctx.Err()
	}
}

// drop takes readings and forgets them.
func drop(r driver.Reading) bool {
	r.Swipe.Wipe()
	return true
}

func (o *own) devices(context.Context) ([]api.Device, error) { return devicesOf(o.manager), nil }

func (o *own) listen(ctx context.Context, device string, span time.Duration, ready func(), tell func(technician.Heard) error) error {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	var failed error
	err := identify(ctx, o.manager, o.rules, device, ready, func(h technician.Heard) {
		if err := tell(h); err != nil && failed == nil {
			failed = err
			cancel()
		}
	})
	return errors.Join(err, failed)
}

func (o *own) record(ctx context.Context, device string, testCards bool, span time.Duration, ready func(), write func([]byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	return record(ctx, o.manager, o.rules, device, testCards, ready, writer(write))
}

func (o *own) close() { o.stop() }

// writer is a function that writes.
type writer func([]byte) error

func (w writer) Write(p []byte) (int, error) {
	if err := w(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// identify tells what devices of a manager send.
func identify(ctx context.Context, m *drivers.Manager, rules tid.Rules, device string, ready func(), tell func(technician.Heard)) error {
	listen := func(ctx context.Context, ready func(), hear drivers.Listener) error {
		return m.Listen(ctx, device, ready, hear)
	}
	return technician.Identify(ctx, listen, rules, ready, tell)
}

// record records a device of a manager.
func record(ctx context.Context, m *drivers.Manager, rules tid.Rules, device string, testCards bool, ready func(), w io.Writer) error {
	listen := func(ctx context.Context, ready func(), hear drivers.Listener) error {
		return m.Record(ctx, device, ready, hear)
	}
	o := technician.RecordOptions{Rules: rules, TestCards: testCards, Source: "recorded with posd record on " + time.Now().Format(time.DateOnly)}
	return technician.Record(ctx, listen, o, ready, w)
}

// technicians puts the manager in the API's terms.
func (d *posd) technicians(p *api.Program, rules tid.Rules) {
	busy := func(err error) error {
		if errors.Is(err, drivers.ErrTapped) {
			return api.ErrBusy
		}
		return err
	}
	p.Listen = func(ctx context.Context, device string, ready func(), tell func(any)) error {
		return busy(identify(ctx, d.devices, rules, device, ready, func(h technician.Heard) { tell(h) }))
	}
	p.Record = func(ctx context.Context, device string, testCards bool, ready func(), w io.Writer) error {
		return busy(record(ctx, d.devices, rules, device, testCards, ready, w))
	}
}
