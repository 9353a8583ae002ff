package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	centralapi "posd/central"
	"posd/enctid"
	"posd/enroll"
	"posd/tid"
)

// perEpoch is how many EncTIDs are sealed in an epoch.
const perEpoch = enctid.MaxUses

// Central remembers so many epochs of a lane, and lets a lane show so many cards of
// a kind at once (server.DefaultLimits) with a few to spare. Nothing of it is lifted:
// a connection stays within one lane's limits, and the next round comes with other
// lanes.
const (
	epochsPerLane = 4
	lookupsOfLane = 2900
)

// central is centrald, as a process, with its lanes.
type central struct {
	*process
	program             string
	store               []string // flags that say where its database is
	lookups, operations string
	dir                 string // of the lanes' credentials
	keys                int
	enrolled            int
	sealing             enctid.PublicKey
}

func command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "CREDENTIALS_DIRECTORY=")
	return cmd
}

// startCentral runs centrald on a database of so many TIDs.
func startCentral(ctx context.Context, program, folder, dir string, keys int, say progress) (*central, error) {
	c := &central{program: program, store: []string{"--database", databaseIn(folder), "--state", stateIn(folder)}, dir: filepath.Join(dir, "lanes"), keys: keys}
	var err error
	if c.lookups, err = freeAddress(); err != nil {
		return nil, err
	}
	if c.operations, err = freeAddress(); err != nil {
		return nil, err
	}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		return nil, err
	}
	if err := tidyState(stateIn(folder)); err != nil {
		return nil, err
	}
	say("starting centrald")
	cmd := command(context.WithoutCancel(ctx), program, append([]string{"serve", "--kek", filepath.Join(folder, "kek"), "--listen", c.lookups, "--ops-listen", c.operations}, c.store...)...)
	if c.process, err = start(dir, "centrald", syscall.SIGTERM, cmd); err != nil {
		return nil, err
	}
	if err := c.await(ctx, 5*time.Minute, func() error { _, err := c.operation(ctx, "/readyz"); return err }); err != nil {
		return c, err
	}
	say("waiting until centrald has written its index down")
	return c, c.settle(ctx)
}

func stateIn(folder string) string { return filepath.Join(folder, "state") }

// tidyState leaves nothing of the last run but the snapshot of the index.
func tidyState(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	all, err := os.ReadDir(dir)
	for _, e := range all {
		if filepath.Ext(e.Name()) != ".snapshot" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

func (c *central) Name() string { return "centrald, EncTID to HHID" }

// operation fetches from the operations listener.
func (c *central) operation(ctx context.Context, path string) (string, error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.operations+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, resp.Status, body)
	}
	return string(body), err
}

// created is how many households centrald has made since it was started.
func (c *central) created(ctx context.Context) (int, error) {
	text, err := c.operation(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(text, `centrald_lookups_total{outcome="created"} `)
	if !found {
		return 0, errors.New("centrald's metrics do not tell of households that were made")
	}
	value, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseFloat(value, 64)
	return int(n), err
}

// enrol enrols so many lanes that were never there before.
func (c *central) enrol(ctx context.Context, n int) ([]*enroll.Credentials, error) {
	tokens, err := c.tokens(ctx, n)
	if err != nil {
		return nil, err
	}
	all, errs := make([]*enroll.Credentials, n), make([]error, n)
	each(n, func(i int) {
		dir := filepath.Join(c.dir, strconv.Itoa(c.enrolled+i))
		if _, errs[i] = enroll.Enroll(ctx, "https://"+c.operations, tokens[i], enroll.Lane, dir); errs[i] != nil {
			return
		}
		var s *enroll.Store
		if s, errs[i] = enroll.Load(dir); errs[i] == nil {
			all[i] = s.Current()
		}
	})
	c.enrolled += n
	return all, errors.Join(errs...)
}

// tokens has centrald make tokens for new lanes of a shop that is new.
func (c *central) tokens(ctx context.Context, n int) ([]enroll.Token, error) {
	var csv bytes.Buffer
	shop := rand.Text()
	for i := range n {
		fmt.Fprintf(&csv, "%s,%d\n", shop, i)
	}
	cmd := command(ctx, c.program, append([]string{"tokens", "create", "--file", "-", "--json"}, c.store...)...)
	var complaint bytes.Buffer
	cmd.Stdin, cmd.Stderr = &csv, &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("make tokens: %w: %s", err, complaint.String())
	}
	var all []enroll.Token
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var made struct{ Token string }
		if err := json.Unmarshal(lines.Bytes(), &made); err != nil {
			return nil, fmt.Errorf("make tokens: %w", err)
		}
		t, err := enroll.ParseToken(made.Token)
		if err != nil {
			return nil, fmt.Errorf("make tokens: %w", err)
		}
		all = append(all, t)
	}
	if len(all) != n {
		return nil, fmt.Errorf("make tokens: %d came of %d", len(all), n)
	}
	return all, nil
}

// each calls fn for 0 to n-1, a few at a time.
func each(n int, fn func(i int)) {
	var wg sync.WaitGroup
	turn := make(chan struct{}, 16)
	for i := range n {
		turn <- struct{}{}
		wg.Go(func() { fn(i); <-turn })
	}
	wg.Wait()
}

// key is what lanes seal for.
func (c *central) key(ctx context.Context, own *enroll.Credentials) (enctid.PublicKey, error) {
	if c.sealing.Key != nil {
		return c.sealing, nil
	}
	client, err := centralapi.NewClient("https://"+c.lookups, enroll.ClientConfig(own, enroll.Name{Role: enroll.Central}))
	if err != nil {
		return c.sealing, err
	}
	defer client.Close()
	signed, err := client.Manifest(ctx, 0)
	if err != nil {
		return c.sealing, err
	}
	m, err := signed.Verify(own.ManifestKey, time.Now(), 0)
	if err != nil {
		return c.sealing, err
	}
	k, err := m.SealingKey(time.Now())
	c.sealing = enctid.PublicKey{ID: enctid.KeyID(k.ID), Key: k.PublicKey}
	return c.sealing, err
}

// lanes are new lanes that ask for known TIDs in epochs that central knows from
// their first requests.
func (c *central) lanes(ctx context.Context, n int) (target, []lane, error) {
	return c.sealed(ctx, n, c.someKnown, (*epochs).known)
}

// someKnown is one of the TIDs that central knows.
func (c *central) someKnown() (tid.TID, error) { return knownTID(mrand.IntN(c.keys)) }

// someUnknown is a TID that central has never seen.
func someUnknown() (tid.TID, error) {
	return tid.NewLoyalty(unknownIssuer, fmt.Appendf(nil, "%019d", mrand.Int64()))
}

// sealed enrols lanes and has them seal what they are going to ask.
func (c *central) sealed(ctx context.Context, n int, next func() (tid.TID, error), fill func(*epochs, *lane) error) (target, []lane, error) {
	t := target{c.lookups, framedHTTP}
	own, err := c.enrol(ctx, n)
	if err != nil {
		return t, nil, err
	}
	key, err := c.key(ctx, own[0])
	if err != nil {
		return t, nil, err
	}
	all, errs := make([]lane, n), make([]error, n)
	each(n, func(i int) {
		all[i].Chain, all[i].Most = own[i].Certificate.Certificate, lookupsOfLane
		if all[i].Key, errs[i] = x509.MarshalPKCS8PrivateKey(own[i].Certificate.PrivateKey); errs[i] == nil {
			errs[i] = fill(&epochs{key, own[i].Name, next}, &all[i])
		}
	})
	return t, all, errors.Join(errs...)
}

// epochs seals for a lane.
type epochs struct {
	key  enctid.PublicKey
	name enroll.Name
	next func() (tid.TID, error)
}

// known fills a lane with four epochs: the first request of each brings its enc.
func (e *epochs) known(l *lane) error {
	for range epochsPerLane {
		one, err := e.begin()
		if err != nil {
			return err
		}
		for use := range perEpoch {
			request, err := e.request(one, use == 0)
			if err != nil {
				return err
			}
			if use == 0 {
				l.First = append(l.First, request)
			} else {
				l.Requests = append(l.Requests, request)
			}
		}
	}
	return nil
}

// fresh fills a lane with requests that each bring an epoch of their own, more than
// central remembers.
func (e *epochs) fresh(l *lane) error {
	for range 2 * epochsPerLane {
		one, err := e.begin()
		if err != nil {
			return err
		}
		request, err := e.request(one, true)
		if err != nil {
			return err
		}
		l.Requests = append(l.Requests, request)
	}
	return nil
}

func (e *epochs) begin() (*enctid.Epoch, error) {
	return enctid.NewEpoch(e.key, enctid.Binding{Tenant: e.name.Tenant, Lane: e.name.LaneName()})
}

// request is a lookup as it goes over the wire.
func (e *epochs) request(in *enctid.Epoch, withEnc bool) ([]byte, error) {
	secret, err := e.next()
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	r := centralapi.Request{Basket: uuid.New(), Swipe: 1, SealedAt: time.Now().UnixMilli()}
	if r.EncTID, err = in.Seal(secret, enctid.Context{Basket: r.Basket, Swipe: r.Swipe, SealedAt: r.SealedAt}); err != nil {
		return nil, err
	}
	if withEnc {
		if r.EncTID, err = enctid.WithEnc(r.EncTID, in.Enc()); err != nil {
			return nil, err
		}
	}
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: central\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", centralapi.ResolvePath, len(body))
	return append([]byte(head), body...), nil
}
