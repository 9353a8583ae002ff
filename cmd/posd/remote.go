package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"posd/central"
	"posd/config"
	"posd/enctid"
	"posd/enroll"
	"posd/lane"
	"posd/lane/api"
	"posd/posmain"
)

// remote is what an enrolled lane has of the other two programs. A lane that is
// not enrolled has none of it.
type remote struct {
	credentials *enroll.Store // nil: not enrolled
	renewer     *enroll.Renewer
	sealer      *enctid.Sealer
	keys        *lane.Keys
	lookup      *lookup
	main        *posmain.Client // nil: the configuration names none
	log         *slog.Logger
}

// connect prepares the connections; nothing is sent yet.
func connect(c config.Config, log *slog.Logger) (*remote, error) {
	r := &remote{log: log}
	store, err := enroll.Load(credentialsDir(c))
	if errors.Is(err, enroll.ErrNotEnrolled) {
		log.Warn("this lane is not enrolled: cards and numbers are refused until 'posd enroll' and a restart")
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	own := store.Current()
	if own.Name.Role != enroll.Lane {
		return nil, fmt.Errorf("the credentials in %s are those of %s, no lane's: enroll this machine with a token for a lane", credentialsDir(c), own.Name)
	}
	r.credentials, r.renewer = store, enroll.NewRenewer(store, log)
	r.lookup = &lookup{store: store}
	if r.sealer, err = enctid.NewSealer(enctid.Binding{Tenant: own.Name.Tenant, Lane: own.Name.LaneName()}); err != nil {
		return nil, err
	}
	r.keys = &lane.Keys{
		Source: r.lookup, Pin: own.ManifestKey, File: filepath.Join(c.StateDir, manifestName),
		Use: r.sealer.SetKey, Clock: lane.NewSystemClock(), Log: log,
	}
	if err := r.keys.Load(); err != nil {
		log.Warn("central's keys are fetched anew", "err", err)
	}
	if c.Posmain.URL != "" {
		shop := enroll.Name{Tenant: own.Name.Tenant, Shop: own.Name.Shop, Role: enroll.POSMain}
		r.main, err = posmain.NewClient(c.Posmain.URL, enroll.ClientConfig(store, shop))
	}
	return r, err
}

// provide gives a lane what it needs of the others.
func (r *remote) provide(d *lane.Deps) {
	if r.credentials == nil {
		return
	}
	d.Sealer, d.Central, d.Keys = r.sealer, r.lookup, r.keys
	if r.main != nil {
		d.Main = explained{r.main, r.credentials}
	}
}

// run keeps the certificate and central's keys fresh until ctx ends.
func (r *remote) run(ctx context.Context) error {
	if r.credentials == nil {
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { r.keys.Run(ctx) })
	wg.Go(func() {
		if err := r.renewer.Run(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("the certificate is renewed no longer", "err", err)
		}
	})
	wg.Wait()
	return nil
}

func (r *remote) close() {
	if r.credentials == nil {
		return
	}
	r.sealer.Close()
	r.lookup.close()
	if r.main != nil {
		r.main.Close()
	}
}

func (r *remote) name() string {
	if r.credentials == nil {
		return "not enrolled"
	}
	return r.credentials.Current().Name.String()
}

// maxSkew is how far the clock may be from central's before a person is told.
const maxSkew = 2 * time.Minute

// enrolment tells who the lane is and how that stands.
func (r *remote) enrolment() api.Enrolment {
	if r.credentials == nil {
		return api.Enrolment{}
	}
	own := r.credentials.Current()
	e := api.Enrolment{Enrolled: true, Name: own.Name.String(), ValidUntil: own.Certificate.Leaf.NotAfter.UTC(), Keys: r.keys.Problem()}
	if st := r.renewer.Status(); st.Err != nil {
		e.Renewal = st.Err.Error()
	}
	e.Clock = skewText(r.lookup.skew())
	return e
}

func skewText(ahead time.Duration, known bool) string {
	switch ahead = ahead.Round(time.Second); {
	case known && ahead > maxSkew:
		return fmt.Sprintf("this machine's clock is %s behind central's: set it", ahead)
	case known && -ahead > maxSkew:
		return fmt.Sprintf("this machine's clock is %s ahead of central's: set it", -ahead)
	}
	return ""
}

// lookup asks central at the address that it gave at the last renewal.
type lookup struct {
	store *enroll.Store

	mu     sync.Mutex
	url    string
	client *central.Client
}

func (l *lookup) at() (*central.Client, error) {
	own := l.store.Current()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil && l.url == own.LookupURL {
		return l.client, nil
	}
	client, err := central.NewClient(own.LookupURL, enroll.ClientConfig(l.store, enroll.Name{Tenant: own.Name.Tenant, Role: enroll.Central}))
	if err != nil {
		return nil, err
	}
	if l.client != nil {
		l.client.Close()
	}
	l.url, l.client = own.LookupURL, client
	return client, nil
}

// Resolve asks whose EncTID it is.
func (l *lookup) Resolve(ctx context.Context, r central.Request) (central.Answer, error) {
	c, err := l.at()
	if err != nil {
		return central.Answer{}, err
	}
	a, err := c.Resolve(ctx, r)
	return a, enroll.Explain(err, l.store.Current())
}

// ResolveBatch asks whose EncTIDs many are.
func (l *lookup) ResolveBatch(ctx context.Context, all []central.Request) ([]central.Result, error) {
	c, err := l.at()
	if err != nil {
		return nil, err
	}
	results, err := c.ResolveBatch(ctx, all)
	return results, enroll.Explain(err, l.store.Current())
}

// Manifest asks for central's keys.
func (l *lookup) Manifest(ctx context.Context, have uint64) (central.Signed, error) {
	c, err := l.at()
	if err != nil {
		return central.Signed{}, err
	}
	s, err := c.Manifest(ctx, have)
	return s, enroll.Explain(err, l.store.Current())
}

func (l *lookup) skew() (ahead time.Duration, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client == nil {
		return 0, false
	}
	return l.client.Skew()
}

func (l *lookup) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil {
		l.client.Close()
	}
}

// explained is the POS main computer, with errors that say what TLS does not.
type explained struct {
	*posmain.Client
	store *enroll.Store
}

// Put logs a basket.
func (e explained) Put(ctx context.Context, id string, body []byte) (posmain.Receipt, error) {
	receipt, err := e.Client.Put(ctx, id, body)
	return receipt, enroll.Explain(err, e.store.Current())
}
