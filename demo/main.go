// Command demo runs the whole system on simulated devices, as real processes
// over loopback, and tells a retailer what happened. It ends with status 1 if
// any step did not come out as told.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	bin := flag.String("bin", "bin", "folder of posd, centrald and posmaind")
	keep := flag.Bool("keep", false, "leave everything running at the end")
	flag.Parse()
	if err := run(*bin, *keep); err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		os.Exit(1)
	}
}

func run(bin string, keep bool) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	bin, err = filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "posd-demo-")
	if err != nil {
		return err
	}
	w := newWorld(ctx, bin, dir)
	defer func() {
		err = errors.Join(err, w.close())
		if err != nil {
			fmt.Fprintf(os.Stderr, "\nthe logs are kept in %s\n", dir)
			return
		}
		os.RemoveAll(dir)
	}()
	s := &story{world: w, say: newTeller(os.Stdout)}
	began := time.Now()
	if err := s.tell(); err != nil {
		return err
	}
	s.say.line("")
	s.say.good("Everything came out as told, in %.1f s.", time.Since(began).Seconds())
	if keep {
		if err := s.invite(); err != nil {
			return err
		}
		<-ctx.Done()
	}
	return nil
}
