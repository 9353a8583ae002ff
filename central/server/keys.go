package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"posd/central"
	"posd/central/server/directory"
	"posd/central/server/opener"
	"posd/central/server/store"
	"posd/central/server/vault"
	"posd/enctid"
	"posd/enroll"
)

const symmetricKeySize = 32

// Setup is what a new central is made with.
type Setup struct {
	Tenant string   // the retailer
	Hosts  []string // names and addresses of central; the first goes into URLs
	Salt   []byte   // of the passphrase that the key-encryption key comes from; nil if there is none
	Now    time.Time
	Actor  string // who does it, for the audit log
}

// Check says what is wrong with a setup, if anything.
func (s Setup) Check() error {
	if err := CheckTenant(s.Tenant); err != nil {
		return err
	}
	if len(s.Hosts) == 0 {
		return errors.New("a central needs a host name or address")
	}
	for _, h := range s.Hosts {
		if _, err := netip.ParseAddr(h); err != nil && !isHostName(h) {
			return fmt.Errorf("%q is neither a host name nor an IP address", h)
		}
	}
	return nil
}

func isHostName(h string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
	return h != "" && len(h) < 254 && strings.Trim(h, allowed) == "" && h[0] != '.' && h[0] != '-'
}

// Init makes a central in an empty database: its keys, CA and manifest key, all
// wrapped under kek.
func Init(ctx context.Context, st store.Store, kek vault.KEK, s Setup) error {
	if err := s.Check(); err != nil {
		return fmt.Errorf("set up central: %w", err)
	}
	i := store.Installation{KEK: kek.ID(), Salt: s.Salt, Hosts: s.Hosts, CreatedAt: s.Now}
	rand.Read(i.ID[:])
	keys, err := newKeys(kek, i, s.Tenant)
	if err != nil {
		return fmt.Errorf("set up central: %w", err)
	}
	if err := st.Init(ctx, store.Act{At: s.Now, Actor: s.Actor, Action: "init", Detail: map[string]any{"tenant": s.Tenant, "hosts": s.Hosts}}, i, s.Tenant, keys); err != nil {
		return fmt.Errorf("set up central: %w", err)
	}
	return nil
}

func newKeys(kek vault.KEK, i store.Installation, tenant string) ([]store.Key, error) {
	var keys []store.Key
	add := func(purpose store.Purpose, tenant int64, secret, public []byte) {
		keys = append(keys, wrap(kek, i, store.Key{Purpose: purpose, Tenant: tenant, Number: 1, Public: public}, secret))
	}
	seed, public, err := newHPKE()
	if err != nil {
		return nil, err
	}
	add(store.HPKE, 0, seed, public)
	caDER, caKey, err := enroll.NewCA(fmt.Sprintf("central of %s (%x)", tenant, i.ID[:4]))
	if err != nil {
		return nil, err
	}
	add(store.CA, 0, caKey, caDER)
	public, signer, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	add(store.Manifest, 0, signer.Seed(), public)
	for _, purpose := range tenantKeys {
		add(purpose, 1, newSecret(), nil)
	}
	return keys, nil
}

func newHPKE() (seed, public []byte, err error) {
	private, err := opener.GenerateKey()
	if err != nil {
		return nil, nil, err
	}
	seed, err = private.Seed()
	return seed, private.Public(), err
}

func newSecret() []byte {
	secret := make([]byte, symmetricKeySize)
	rand.Read(secret)
	return secret
}

// wrap gives an active key its secret, which it wipes.
func wrap(kek vault.KEK, i store.Installation, k store.Key, secret []byte) store.Key {
	k.State, k.Wrapped = store.Active, kek.Wrap(secret, wrapContext(i, k))
	clear(secret)
	return k
}

// wrapContext binds a wrapped key to its installation, purpose and place.
func wrapContext(i store.Installation, k store.Key) []byte {
	b := append([]byte("hhid/key/v1\x00"), i.ID[:]...)
	b = append(append(b, k.Purpose...), 0)
	b = binary.BigEndian.AppendUint64(b, uint64(k.Tenant))
	return binary.BigEndian.AppendUint32(b, k.Number)
}

// Keys are central's keys, unwrapped, as they were in the store at one time. They
// print as nothing.
type Keys struct {
	installation store.Installation
	change       uint64 // of the store's keys
	kek          *held
	rows         []store.Key
	secrets      map[keyID][]byte

	ca          *enroll.CA
	signer      func() ed25519.PrivateKey
	manifestKey ed25519.PublicKey
	hpke        []opener.PrivateKey
	tenants     []directory.Tenant
}

// keyID names a key.
type keyID struct {
	purpose store.Purpose
	tenant  int64
	number  uint32
}

func idOf(k store.Key) keyID { return keyID{k.Purpose, k.Tenant, k.Number} }

// held is the key-encryption key that a process has.
type held struct {
	mu  sync.Mutex
	kek vault.KEK
}

func (h *held) get() vault.KEK {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kek
}

func (h *held) set(kek vault.KEK) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kek = kek
}

// String tells nothing.
func (*Keys) String() string { return "Keys(redacted)" }

// GoString tells nothing.
func (*Keys) GoString() string { return "Keys(redacted)" }

// OpenKeys unwraps the keys in a database. A kek that is not the one of this
// installation is an error that says so.
func OpenKeys(ctx context.Context, st store.Store, kek vault.KEK) (*Keys, error) {
	k, err := openKeys(ctx, st, &held{kek: kek}, nil)
	if err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	return k, nil
}

// ErrRestored says that a database was restored from a backup under a running server.
var ErrRestored = errors.New("the database was restored from a backup since this centrald started: what it has in memory is of the one before: restart it")

// Opens says what is wrong with a key-encryption key, if it does not open keys of an
// installation.
func Opens(kek vault.KEK, i store.Installation, keys []store.Key) error {
	if err := fits(kek, i); err != nil {
		return err
	}
	for _, k := range keys {
		if k.Wrapped == nil {
			continue
		}
		secret, err := kek.Unwrap(k.Wrapped, wrapContext(i, k))
		clear(secret)
		if err != nil {
			return named(k, err)
		}
	}
	return nil
}

// again opens the keys as they are now. Those that it has need not be unwrapped:
// only what is new needs the key-encryption key.
func (k *Keys) again(ctx context.Context, st store.Store) (*Keys, error) {
	fresh, err := openKeys(ctx, st, k.kek, k.secrets)
	if err != nil {
		return nil, fmt.Errorf("follow keys: %w", err)
	}
	if fresh.installation.Incarnation != k.installation.Incarnation {
		return nil, ErrRestored
	}
	for id, secret := range k.secrets {
		if _, kept := fresh.secrets[id]; !kept && id.purpose == store.HPKE {
			clear(secret) // nobody else has it: what opens EncTIDs is made of a copy
		}
	}
	return fresh, nil
}

func openKeys(ctx context.Context, st store.Store, kek *held, known map[keyID][]byte) (k *Keys, err error) {
	k = &Keys{kek: kek, secrets: map[keyID][]byte{}}
	if k.change, err = st.KeyChange(ctx); err != nil { // first: what changes from here on is seen later
		return nil, err
	}
	if k.installation, err = st.Installation(ctx); err != nil {
		return nil, err
	}
	tenants, err := st.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	if k.rows, err = st.Keys(ctx); err != nil {
		return nil, err
	}
	rekeyings, err := st.Rekeyings(ctx)
	if err != nil {
		return nil, err
	}
	if err := k.unwrap(known); err != nil {
		return nil, err
	}
	byID := map[int64]*directory.Tenant{}
	for _, t := range tenants {
		byID[t.ID] = &directory.Tenant{ID: t.ID, Name: t.Name, Incarnation: k.installation.Incarnation}
	}
	for i := range k.rows {
		if err := k.take(&k.rows[i], byID); err != nil {
			return nil, named(k.rows[i], err)
		}
	}
	for _, r := range rekeyings {
		if t := byID[r.Tenant]; t != nil {
			for i := range t.Older {
				t.Older[i].Left = !r.FinishedAt.IsZero()
			}
		}
	}
	for _, t := range tenants {
		k.tenants = append(k.tenants, *byID[t.ID])
	}
	return k, k.complete()
}

func named(row store.Key, err error) error {
	return fmt.Errorf("%s key %d: %w", row.Purpose, row.Number, err)
}

// unwrap gives the secrets of all keys that are not destroyed.
func (k *Keys) unwrap(known map[keyID][]byte) error {
	kek := k.kek.get()
	for _, row := range k.rows {
		id := idOf(row)
		if row.Wrapped == nil {
			continue
		}
		if secret, ok := known[id]; ok {
			k.secrets[id] = secret
			continue
		}
		if err := fits(kek, k.installation); err != nil {
			return err
		}
		secret, err := kek.Unwrap(row.Wrapped, wrapContext(k.installation, row))
		if err != nil {
			return named(row, fmt.Errorf("%w: the row was changed or comes from another database", err))
		}
		k.secrets[id] = secret
	}
	return nil
}

// fits says what is wrong with a key-encryption key, if it is not the
// installation's.
func fits(kek vault.KEK, i store.Installation) error {
	if kek.ID() == i.KEK {
		return nil
	}
	what := "it is another installation's, or the keys were wrapped anew since"
	if i.Salt != nil {
		what = "the passphrase is wrong"
	}
	return fmt.Errorf("%w: it is key %s, and this database's keys are wrapped under key %s: %s", vault.ErrWrongKey, kek.ID(), i.KEK, what)
}

func (k *Keys) take(row *store.Key, tenants map[int64]*directory.Tenant) (err error) {
	secret, ok := k.secrets[idOf(*row)]
	if !ok {
		if row.Purpose == store.HPKE {
			k.hpke = append(k.hpke, opener.PrivateKey{ID: enctid.KeyID(row.Number), State: opener.Destroyed})
		}
		return nil
	}
	tenant := tenants[row.Tenant]
	if row.Tenant != 0 && tenant == nil {
		return store.ErrNoTenant
	}
	switch row.Purpose {
	case store.HPKE:
		return k.takeHPKE(row, bytes.Clone(secret))
	case store.CA:
		k.ca, err = enroll.LoadCA(row.Public, secret)
		return err
	case store.Manifest:
		private := ed25519.NewKeyFromSeed(secret)
		k.signer = func() ed25519.PrivateKey { return private }
		k.manifestKey = private.Public().(ed25519.PublicKey)
	case store.Fingerprint: // the rows come in the order of their numbers
		if tenant.Fingerprint != nil {
			older := directory.OlderKey{Fingerprint: tenant.Fingerprint, FingerprintKey: tenant.FingerprintKey}
			tenant.Older = append([]directory.OlderKey{older}, tenant.Older...)
		}
		tenant.Fingerprint, tenant.FingerprintKey = secret, row.Number
	case store.SealTID:
		tenant.SealTID = secret
	case store.DeIdent:
		tenant.DeIdent, tenant.DeIdentVersion = secret, int(row.Number)
	default:
		return errors.New("it is of a newer version than this program: update it")
	}
	return nil
}

func (k *Keys) takeHPKE(row *store.Key, seed []byte) error {
	private, err := opener.NewKey(seed)
	if err != nil {
		return err
	}
	row.Public = private.Public() // whatever the row says: lanes seal for it
	k.hpke = append(k.hpke, opener.PrivateKey{ID: enctid.KeyID(row.Number), State: opener.OpenOnly, Key: private})
	return nil
}

// manifestKeys are the keys that a manifest lists at a time.
func (k *Keys) manifestKeys(now time.Time) (all []central.ManifestKey) {
	for _, row := range k.rows {
		if row.Purpose != store.HPKE || row.Wrapped == nil {
			continue
		}
		m := central.ManifestKey{
			ID: row.Number, KEM: central.KEMMLKEM768X25519, PublicKey: row.Public, State: central.Sealing,
			NotBefore: sealsFrom(row), SealUntil: row.SealsUntil,
		}
		if ended(row, now) {
			m.State = central.OpenOnly
		}
		all = append(all, m)
	}
	return all
}

// sealsFrom is when lanes begin to seal with a key: as with certificates, lanes
// whose clocks are behind a little do, too, with one that is good at once.
func sealsFrom(row store.Key) time.Time {
	if row.SealsFrom.IsZero() {
		return row.CreatedAt.Add(-enroll.Backdate)
	}
	return row.SealsFrom
}

// ended reports whether lanes have ceased to seal with a key.
func ended(row store.Key, now time.Time) bool {
	return !row.SealsUntil.IsZero() && !now.Before(row.SealsUntil)
}

func (k *Keys) complete() error {
	if k.ca == nil || k.signer == nil || len(k.manifestKeys(time.Time{})) == 0 || len(k.tenants) == 0 {
		return errors.New("the database lacks a key: restore a backup")
	}
	return nil
}

// Directory is the directory that these keys open, still empty: see
// directory.New.
func (k *Keys) Directory(st directory.Store, dir string, now func() time.Time) (*directory.Directory, error) {
	return directory.New(st, k.tenants, dir, now)
}

// certificate issues central's own certificate, for a key that it makes.
func (k *Keys) certificate(now time.Time) (*enroll.Credentials, error) {
	key, err := enroll.NewKey()
	if err != nil {
		return nil, err
	}
	csr, err := enroll.NewCSR(key)
	if err != nil {
		return nil, err
	}
	return k.sign(csr, key, now)
}

func (k *Keys) sign(csr []byte, key *ecdsa.PrivateKey, now time.Time) (*enroll.Credentials, error) {
	der, err := k.ca.Issue(csr, enroll.Leaf{
		Name:  enroll.Name{Tenant: k.tenants[0].Name, Role: enroll.Central},
		Hosts: k.installation.Hosts, NotBefore: now.Add(-enroll.Backdate), NotAfter: now.Add(enroll.Lifetime),
	})
	if err != nil {
		return nil, err
	}
	return enroll.NewCredentials(der, key, k.ca.Certificate().Raw)
}

// PublicURL is the address of a listener as others reach it: the first host of
// the installation with the listener's port.
func (k *Keys) PublicURL(listener net.Addr) string {
	_, port, err := net.SplitHostPort(listener.String())
	if err != nil {
		port = "443" // a listener without a port, behind something that has one
	}
	return "https://" + net.JoinHostPort(k.installation.Hosts[0], port)
}

// TokenMaker gives a function that makes enrolment tokens, which pin the central
// in st. No key need be unwrapped for it. The tokens' hashes have yet to be
// stored.
func TokenMaker(ctx context.Context, st store.Store) (func() enroll.Token, error) {
	rows, err := st.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("make token: %w", err)
	}
	public := map[store.Purpose][]byte{}
	for _, row := range rows {
		public[row.Purpose] = row.Public
	}
	if public[store.CA] == nil || public[store.Manifest] == nil {
		return nil, fmt.Errorf("make token: %w", store.ErrNotInitialised)
	}
	return func() enroll.Token { return enroll.NewToken(public[store.CA], public[store.Manifest]) }, nil
}
