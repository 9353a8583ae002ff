package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"posd/central/server"
	"posd/central/server/admin"
	"posd/central/server/directory"
	"posd/cli"
	"posd/unixsocket"
)

// admin connects to the running centrald, or opens the database where none runs. kek
// is nil for commands that need no key.
func (p *program) admin(ctx context.Context, kek *kekFlags) (*admin.Client, error) {
	if client, ok := admin.Dial(ctx, p.socket()); ok {
		return client, nil
	}
	st, i, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	c := &admin.Central{Store: st, Now: time.Now, LookupDir: p.lookupDir(), Scratch: p.scratch(), Erasures: p.erasures()}
	c.Keys = onceOpened(func(ctx context.Context) (*server.Keys, error) { return kek.open(ctx, p, st, i) })
	c.Directory = onceOpened(func(ctx context.Context) (*directory.Directory, error) {
		keys, err := c.Keys(ctx)
		if err != nil {
			return nil, err
		}
		return keys.Directory(st, "", time.Now)
	})
	return admin.Local(c, func() { st.Close() }), nil
}

// onceOpened opens what is needed for the first who needs it.
func onceOpened[T any](open func(context.Context) (T, error)) func(context.Context) (T, error) {
	var once sync.Once
	var opened T
	var err error
	return func(ctx context.Context) (T, error) {
		once.Do(func() { opened, err = open(ctx) })
		return opened, err
	}
}

// call calls an operation.
func call[Answer any](ctx context.Context, p *program, kek *kekFlags, operation string, request any) (Answer, error) {
	c, err := p.admin(ctx, kek)
	if err != nil {
		var none Answer
		return none, err
	}
	defer c.Close()
	answer, err := admin.Call[Answer](ctx, c, operation, request)
	return answer, misused(err)
}

// misused gives a wrong call the exit status of one.
func misused(err error) error {
	if errors.Is(err, admin.ErrMisuse) {
		return cli.Usagef("%v", err)
	}
	return err
}

// adminDrain is how long commands may still take when the server ends.
const adminDrain = time.Second

// serveAdmin serves commands until stop is called. Without its socket a server
// still answers lookups.
func (p *program) serveAdmin(s *server.Server, opt server.Options) (stop func()) {
	log := opt.Log
	l, err := unixsocket.Listen(p.socket())
	if err != nil {
		log.Error("no commands are taken from this machine; lookups go on", "error", err)
		return func() {}
	}
	c := &admin.Central{
		Store: opt.Store, Now: time.Now, Changed: s.Changed, Flush: s.Flush, LookupDir: p.lookupDir(), Scratch: p.scratch(), Erasures: p.erasures(),
		Keys:      func(context.Context) (*server.Keys, error) { return s.Keys(), nil },
		Directory: func(context.Context) (*directory.Directory, error) { return s.Directory(), nil },
	}
	srv := c.Server()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("commands are taken no more", "error", err)
		}
	})
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), adminDrain)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
		wg.Wait()
	}
}
