// Package store is central's durable memory: households, the TIDs that belong
// to them (sealed, and found by a keyed fingerprint), wrapped keys, enrolment
// tokens, machines with their certificates, and alarms.
//
// It holds no logic beyond what must be one transaction, and no secret: TIDs
// and keys come to it encrypted. It is one set of SQL statements; every database
// that they run on has to pass the same conformance tests.
package store

import (
	"context"
	"errors"
	"time"

	"posd/central"
	"posd/enroll"
	"posd/identity"
	"posd/sqldb"
)

// Errors that a caller tells apart. Those of a full disk, a read-only database
// and the like are package sqlitedb's.
var (
	ErrNotInitialised = errors.New("this database holds no central yet: run `centrald init`")
	ErrInitialised    = errors.New("this database holds a central already")
	ErrNoTenant       = errors.New("there is no such retailer")
	ErrTenant         = errors.New("there is a retailer of that name already")
	ErrNoHousehold    = errors.New("there is no such household")
	ErrNoTID          = errors.New("no card or number has this DeIdentTID")
	ErrMerged         = errors.New("that household was merged into another one: give the one that it is now")
	ErrSame           = errors.New("a household cannot be merged into itself")
	ErrNotIn          = errors.New("a card does not belong to that household")
	ErrSplit          = errors.New("give some of the household's cards, and not all of them")
	ErrNoEntry        = errors.New("the ledger has no such entry")
	ErrUndone         = errors.New("it cannot be undone")
	ErrNoMachine      = errors.New("it was never enrolled, and no token was made for it")
	ErrQuarantined    = errors.New("it is in quarantine already")
	ErrNotQuarantined = errors.New("it is not in quarantine")
	ErrEnrolled       = errors.New("it is enrolled already: give --replace to revoke its certificate and enrol another machine in its place")
	ErrTokenUnknown   = errors.New("the token is unknown")
	ErrTokenExpired   = errors.New("the token has expired")
	ErrTokenUsed      = errors.New("the token was used by another key")
	ErrWrongRole      = errors.New("the token is for another role")
	ErrUnknownCert    = errors.New("the certificate is not in this database")
	ErrRevoked        = errors.New("the certificate was revoked")
	ErrSuperseded     = errors.New("the certificate was superseded by one for another key")
)

// Installation is what there is once in a database.
type Installation struct {
	ID   [16]byte // random
	KEK  string   // id of the key-encryption key
	Salt []byte   // of its passphrase; nil if it comes from a file
	// Incarnation is zero, or names the restore from a backup that the database is of.
	Incarnation [16]byte
	Hosts       []string // names and addresses of central, the first of which goes into URLs
	CreatedAt   time.Time
}

// Tenant is a retailer.
type Tenant struct {
	ID        int64
	Name      string
	CreatedAt time.Time
}

// Purpose says what a key is for.
type Purpose string

// The purposes of keys. The first three belong to the installation, the others
// to a tenant.
const (
	HPKE        Purpose = "hpke"        // opens EncTIDs; its number is the key id
	CA          Purpose = "ca"          // issues certificates; public: the CA's certificate
	Manifest    Purpose = "manifest"    // signs manifests (Ed25519)
	Fingerprint Purpose = "fingerprint" // HMAC: what a TID is found by
	SealTID     Purpose = "tid"         // AES-256-GCM: seals TIDs at rest
	DeIdent     Purpose = "deident"     // HMAC: makes DeIdentTIDs; its number is their version
)

// Key is one of central's keys, wrapped.
type Key struct {
	Purpose   Purpose
	Tenant    int64 // 0: the installation's
	Number    uint32
	State     string // Active or Destroyed
	Wrapped   []byte // nil: destroyed
	Public    []byte
	CreatedAt time.Time

	// Of HPKE keys: when lanes begin and cease to seal with it. Zero: since it was
	// made; without an end.
	SealsFrom, SealsUntil time.Time
}

// The states of a key in the store. How far an HPKE key has got in between is a
// matter of the time: see SealsUntil.
const (
	Active    = "active"
	Destroyed = "destroyed" // its secret was erased
)

// TID is a TID as it is stored.
type TID struct {
	Tenant         int64
	Fingerprint    [16]byte
	FingerprintKey uint32     // the number of the key that it was made with
	Older          [][16]byte // its fingerprints under earlier keys, which it may be stored under still
	Sealed         []byte
	DeIdent        [16]byte
	DeIdentVersion int
	Kind           identity.Kind
	CreatedAt      time.Time
}

// Entry is the association of a TID with its household, as the index in memory
// needs it.
type Entry struct {
	Tenant         int64
	Fingerprint    [16]byte
	FingerprintKey uint32
	DeIdentVersion int
	HHID           identity.HHID
	OptedOut       bool
	Change         uint64
}

// Household is a family, with its cards and numbers.
type Household struct {
	HHID      identity.HHID `json:"hhid"`
	Tenant    string        `json:"tenant"`
	CreatedAt time.Time     `json:"created_at"`
	Cards     []Card        `json:"cards"`

	Merged []identity.HHID `json:"merged,omitempty"` // ids of households that were merged into it, and stand for it
}

// Card is a card, loyalty or phone number of a household, told by its pseudonym.
type Card struct {
	DeIdentTID identity.DeIdentTID `json:"deident_tid"`
	Kind       identity.Kind       `json:"kind"`
	OptedOut   bool                `json:"opted_out,omitempty"`
	CreatedAt  time.Time           `json:"created_at"`
}

// Token is an enrolment token to be.
type Token struct {
	Hash      [32]byte
	Name      enroll.Name
	ExpiresAt time.Time
}

// Certificate is one that was issued.
type Certificate struct {
	Serial    []byte
	SPKI      [32]byte // SHA-256 of the public key (PKIX)
	DER       []byte
	NotBefore time.Time
	NotAfter  time.Time
}

// Issuer issues a certificate; the store calls it within the transaction that
// records it.
type Issuer func(name enroll.Name) (Certificate, error)

// MachineState says how a machine stands.
type MachineState string

// The states of a machine.
const (
	Invited  MachineState = "invited"  // it has a token and no certificate yet
	Enrolled MachineState = "enrolled" // it has a good certificate
	Expired  MachineState = "expired"  // its certificate has ended; it still renews for a time
	Revoked  MachineState = "revoked"  // its certificate was revoked
)

// Machine is a lane or a POS main computer.
type Machine struct {
	Tenant       string       `json:"tenant"`
	Shop         string       `json:"store"`
	Role         enroll.Role  `json:"role"`
	Lane         string       `json:"lane,omitempty"`
	State        MachineState `json:"state"`
	CreatedAt    time.Time    `json:"created_at"`
	Certificates int          `json:"certificates"` // ever issued to it
	Ends         time.Time    `json:"ends,omitzero"`
	Quarantined  bool         `json:"quarantined,omitempty"`
	Activity     *Activity    `json:"activity,omitempty"` // nil: it never asked
}

// Name is the machine's name.
func (m Machine) Name() enroll.Name { return name(m.Tenant, m.Shop, string(m.Role), m.Lane) }

// Activity is what centrals saw of a lane. A store keeps the sums of what it is
// given.
type Activity struct {
	Machine    enroll.Name `json:"-"`
	Seen       time.Time   `json:"seen"`               // the last lookup
	Software   string      `json:"software,omitempty"` // as the lane says
	Epoch      []byte      `json:"epoch,omitempty"`    // the first bytes of its id
	EpochSince time.Time   `json:"epoch_since,omitzero"`
	BehindMS   int64       `json:"clock_behind_ms"` // the lane's clock, behind central's
	Lookups    uint64      `json:"lookups"`
	Unknown    uint64      `json:"unknown"`    // of them: the household was made for it
	Failed     uint64      `json:"failed"`     // of them: the EncTID did not open
	PerMinute  float64     `json:"per_minute"` // lookups a minute, lately
	PerHour    float64     `json:"per_hour"`   // lookups an hour, lately
}

// Quarantine says whether a lane is in quarantine.
type Quarantine struct {
	Machine enroll.Name
	On      bool
	Change  uint64
}

// Revocation names a certificate that is good no more.
type Revocation struct {
	Serial []byte
	Change uint64
}

// The types of alarm.
const (
	AlarmClone       = "clone"        // a superseded certificate came to renew, with another key
	AlarmTokenReused = "token-reused" // a used token came again, with another key
)

// Alarm is something that a person must look at.
type Alarm struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	Type   string    `json:"type"`
	Name   string    `json:"name,omitempty"` // URI of the machine
	Detail string    `json:"detail"`
}

// Store is central's durable memory. What a method returned nil for is durable.
// Its methods may be called at the same time, also by several processes on one
// database.
type Store interface {
	// Init makes the installation with its one tenant. The keys' tenant is 0
	// or 1: 1 stands for that tenant.
	Init(ctx context.Context, by Act, i Installation, tenant string, keys []Key) error
	Installation(ctx context.Context) (Installation, error)
	Tenants(ctx context.Context) ([]Tenant, error)
	// AddTenant makes a retailer, with the keys that keys adds to the ring for its id;
	// no other key is changed. It counts as a change of the keys. ErrTenant.
	AddTenant(ctx context.Context, by Act, name string, keys func(id int64, r *Keyring) error) (Tenant, error)

	Keys(ctx context.Context) ([]Key, error)
	// KeyChange gives a number that rises with every change of the keys, and with
	// every manifest.
	KeyChange(ctx context.Context) (uint64, error)
	// ChangeKeys stores what change makes of all keys: keys may be added, and state,
	// Wrapped and SealsUntil of others changed. Those who change keys wait for each
	// other. change may be called again, with the keys as they are then; it may set
	// what by.Detail points to.
	ChangeKeys(ctx context.Context, by Act, change func(*Keyring) error) error

	// Manifest gives the newest manifest; ok is false before the first.
	Manifest(ctx context.Context) (s central.Signed, ok bool, err error)
	// IssueManifest stores what sign makes for the next version. The version
	// is that of the newest manifest at that moment and one more.
	IssueManifest(ctx context.Context, sign func(version uint64) (central.Manifest, central.Signed, error)) (central.Signed, error)

	// Add stores t with a new household, unless it is known; created tells. One
	// TID never gets two households, whoever asks at the same time, and whatever
	// keys they have: ErrStaleKeys if t would be stored and is not of the newest.
	Add(ctx context.Context, t TID) (e Entry, created bool, err error)
	// Link puts t into a household, and stores it if it is new. With the zero
	// HHID, a known TID stays where it is and a new one gets a new household.
	// ErrNoHousehold, ErrStaleKeys. A move is in the ledger; by's detail is set for
	// it. An id that was merged counts as the survivor, here and below.
	Link(ctx context.Context, by Act, t TID, to identity.HHID) (Entry, error)
	// LinkDeIdent puts the TID of a DeIdentTID, also an earlier one of it, into a
	// household. ErrNoTID,
	// ErrNoHousehold.
	LinkDeIdent(ctx context.Context, by Act, tenant int64, d identity.DeIdentTID, to identity.HHID) (Entry, error)

	// Dump gives the state at one moment: first what it is of, then every row of every
	// table that is no key to row, whose values are good until the next.
	Dump(ctx context.Context, begin func(Snapshot) error, row func(table string, columns []string, values []any) error) error
	// Restore fills an empty database with the rows that fill adds, each table whole
	// and in Dump's order: all of it, or nothing. It is not mistaken for the database
	// that the backup is of: its change number is far ahead, and it has another
	// incarnation. ErrNotEmpty.
	Restore(ctx context.Context, by Act, r Restored, fill func(add sqldb.Loader) error) error
	// TakePairs has cards which came, or moved, after the backup that a database was
	// made of get the households that they had.
	TakePairs(ctx context.Context, by Act, tenant int64, pairs []Pair) (Paired, error)

	// Export gives all TIDs of a retailer to do, as they were at one moment, in the
	// order of their fingerprints.
	Export(ctx context.Context, tenant int64, do func(*ExportedTID) error) error

	// BeginImport begins an import, or finds it as it was left. A new one is Bulk if
	// no retailer has a card or household yet, and alone says that no server is at
	// work: SQLite's indices are left out until its end.
	BeginImport(ctx context.Context, by Act, job [16]byte, tenant int64, alone bool) (i Import, resumed bool, err error)
	// ImportHouseholds stores households of a bulk import, in the order of their
	// ids, together with its position. Those that are there already stay.
	ImportHouseholds(ctx context.Context, i Import, ids []identity.HHID, p Position) error
	// ImportCards stores cards of a bulk import whose households are there, in the
	// order of their fingerprints, together with its position, and gives that with
	// what became of them. Cards that are known already are stored as by ImportRows.
	ImportCards(ctx context.Context, by Act, i Import, cards []ImportRow, p Position) (Position, error)
	// ImportRows stores rows in their order, in one transaction, together with the
	// position of the import. It gives that with what became of them, and for each
	// row why it was refused, if it was: ErrNoHousehold, ErrNoTID, ErrForeignHousehold.
	//
	// A family's household is that of the card of its first row, if it was known
	// before the import, else a new one. A card stays where its last row put it.
	// Cards that were known and are moved are in the ledger, one entry a call.
	ImportRows(ctx context.Context, by Act, i Import, rows []ImportRow, p Position) (after Position, refused []error, err error)
	// EndImport ends an import, and forgets its position. What it stored stays.
	EndImport(ctx context.Context, by Act, job [16]byte) error

	// Entries gives up to limit entries whose change number is above after, in
	// their order. A TID that changed twice is given once, as it is now.
	Entries(ctx context.Context, after uint64, limit int) ([]Entry, error)
	// EntriesWithPrefix gives the tenant's entries whose fingerprint begins
	// with these 8 bytes.
	EntriesWithPrefix(ctx context.Context, tenant int64, prefix [8]byte) ([]Entry, error)

	// Merge, Split and Undo change households, and keep it in the ledger; by's
	// detail is set for it. With preview nothing is changed: the entry says what
	// would be done.
	//
	// Merge gives all cards of from to into, and makes from an alias. ErrNoHousehold,
	// ErrMerged (from is an alias already), ErrSame.
	Merge(ctx context.Context, by Act, tenant int64, from, into identity.HHID, preview bool) (LedgerEntry, error)
	// Split gives some cards of a household a new one. ErrNoHousehold, ErrMerged,
	// ErrNotIn, ErrSplit (all of them, or none).
	Split(ctx context.Context, by Act, tenant int64, from identity.HHID, cards []identity.DeIdentTID, preview bool) (LedgerEntry, error)
	// Undo takes an entry of the ledger back. ErrNoEntry, ErrUndone, or a
	// *MovedSinceError while later entries stand in its way.
	Undo(ctx context.Context, by Act, tenant int64, number uint64, preview bool) (LedgerEntry, error)
	// Ledger gives up to limit entries above after, in their order.
	Ledger(ctx context.Context, tenant int64, after uint64, limit int) ([]LedgerEntry, error)

	// Rekeyings tells of the retailers whose TIDs were, or are to be, moved to newer
	// keys: adding a fingerprint or deident key begins that, and is ErrRekeying until
	// it is finished.
	Rekeyings(ctx context.Context) ([]Rekeying, error)
	// HoldRekeying makes holder the one that moves a retailer's TIDs until a time.
	// ErrHeld if another is, or nothing is to be moved.
	HoldRekeying(ctx context.Context, tenant int64, holder string, now, until time.Time) error
	// SealedTIDs gives up to limit TIDs of a retailer whose fingerprints are not
	// before from, in their order.
	SealedTIDs(ctx context.Context, tenant int64, from [16]byte, limit int) ([]SealedTID, error)
	// Rekey takes a step: it moves TIDs, apart from those that were erased meanwhile,
	// keeps their earlier pseudonyms, and notes how far it is. ErrHeld, ErrStaleKeys.
	Rekey(ctx context.Context, holder string, step Step) error
	// LeftUnder counts the TIDs that are found by an earlier fingerprint key alone.
	// It reads all.
	LeftUnder(ctx context.Context, tenant int64, fingerprintKey uint32) (int64, error)
	// DeIdentPairs gives up to limit pseudonyms of a version from, above after, with
	// those of version to, which is the newest, that the same TIDs have.
	DeIdentPairs(ctx context.Context, tenant int64, from, to int, after [16]byte, limit int) ([]DeIdentPair, error)

	// Household gives one household; of an id that was merged the survivor.
	// ErrNoHousehold.
	Household(ctx context.Context, tenant int64, id identity.HHID) (Household, error)
	// Households gives up to limit households above after, in their order.
	Households(ctx context.Context, tenant int64, after identity.HHID, limit int) ([]Household, error)

	// CreateTokens stores tokens, all or none; earlier tokens of the same
	// machines are void. If replace is set their certificates are revoked;
	// otherwise a machine that has a good one is ErrEnrolled.
	CreateTokens(ctx context.Context, by Act, tokens []Token, replace bool) error
	// Enroll uses a token and records the certificate that issue makes. The
	// same token with the same key gets that certificate again until the token
	// expires. ErrTokenUnknown, ErrTokenExpired, ErrTokenUsed (and an alarm),
	// ErrWrongRole (the token stays good), ErrRevoked (that certificate was).
	Enroll(ctx context.Context, hash [32]byte, role enroll.Role, spki [32]byte, now time.Time, issue Issuer) (Certificate, error)
	// Renew records the certificate that issue makes for spki, which supersedes
	// the one presented. If that was superseded by one for the same key, the
	// newest such is given again while more than a third of its life is left.
	// ErrUnknownCert, ErrRevoked, ErrSuperseded (and an alarm).
	Renew(ctx context.Context, presented []byte, spki [32]byte, now time.Time, issue Issuer) (Certificate, error)
	// Revoke revokes all certificates and tokens of a machine. ErrNoMachine.
	Revoke(ctx context.Context, by Act, name enroll.Name) error
	Machines(ctx context.Context, now time.Time) ([]Machine, error)
	// Quarantine puts a lane into quarantine, or releases it. ErrNoMachine,
	// ErrQuarantined, ErrNotQuarantined.
	Quarantine(ctx context.Context, by Act, name enroll.Name, on bool) error
	// Quarantines gives up to limit lanes that were put into quarantine or
	// released with a change number above after, in their order.
	Quarantines(ctx context.Context, after uint64, limit int) ([]Quarantine, error)
	// NoteActivity adds what a central saw of lanes over the time until now, each
	// lane once; lanes that are not there any more are passed over.
	NoteActivity(ctx context.Context, now time.Time, over time.Duration, seen []Activity) error
	// Revocations gives up to limit revocations whose change number is above
	// after, in their order.
	Revocations(ctx context.Context, after uint64, limit int) ([]Revocation, error)

	// FeedHead gives the number of the last change of the feed, apart from
	// revocations.
	FeedHead(ctx context.Context) (uint64, error)
	// Changes gives up to limit changes above after that a POS main computer has to
	// know of: of its retailer's cards and households, and its shop's lanes. It
	// begins from the start if after is not of this feed.
	Changes(ctx context.Context, who enroll.Name, feed string, after uint64, limit int) (central.Changes, error)
	// Acknowledge keeps that a POS main computer is done with changes. ErrOtherFeed,
	// ErrNoMachine.
	Acknowledge(ctx context.Context, who enroll.Name, ack central.Ack, now time.Time) error

	// Erase erases a card, or a household with all its cards: what is stored of it is
	// overwritten, POS main computers are told, and the card's fingerprint stays, by which
	// it counts as opted out. The lines for the erasure ledger are given to keep before
	// anything is done; with preview nothing is. ErrNoTID, ErrNoHousehold, ErrErased.
	// Scrub ends it.
	Erase(ctx context.Context, by Act, tenant Tenant, what Erasing, preview bool, keep func([]ErasureLine) error) (Erasure, error)
	// Lift has the owner of a card recognised again. ErrNoTID, ErrNotErased.
	Lift(ctx context.Context, by Act, tenant Tenant, t TID, keep func([]ErasureLine) error) (Entry, error)
	// ErasureCertificate tells which POS main computers are done with an erasure.
	// ErrNoErasure.
	ErasureCertificate(ctx context.Context, tenant int64, number uint64) (ErasureCertificate, error)
	// ReplayErasures erases again what an erasure ledger says, after a restore.
	ReplayErasures(ctx context.Context, by Act, lines []ErasureLine) (Replayed, error)

	// Alarms gives all alarms whose id is above after, in their order. One that
	// comes again for the same machine within an hour is kept once.
	Alarms(ctx context.Context, after int64) ([]Alarm, error)

	// Record adds an act to the audit log by itself. The acts that methods are
	// given are recorded in the transaction of what they do: where the log cannot
	// be written, nothing is done.
	Record(ctx context.Context, by Act) error
	// Audit gives up to limit records of the audit log above after, in their
	// order.
	Audit(ctx context.Context, after uint64, limit int) ([]Record, error)

	// Scrub sees to it that what was erased is in no file any more. It is for the
	// end of an erasure: it may take a second.
	Scrub(ctx context.Context) error
	// Listen calls changed when others may have changed the store, also for
	// nothing, until ctx ends. Not every store can tell, nor of every change: it
	// saves waiting, not looking.
	Listen(ctx context.Context, changed func())
	// Probe reports whether the store can be written.
	Probe(ctx context.Context) error
	Close() error
}
