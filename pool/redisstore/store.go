package redisstore

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/proxylite/proxylite-go/pool"
)

// Options set up a [Store]. All processes of a fleet must have the same TTL and Key.
type Options struct {
	// Prefix is how all keys begin; default "proxylite".
	Prefix string
	// Fleet tells fleets of one Redis apart; default "default". A fleet has one ledger,
	// and in a cluster it lives in one slot.
	Fleet string
	// TTL is how long a lease lasts; default 30 s, at least 1 s. What a process that died
	// had claimed is back after that time. It must be longer than an extraction takes,
	// and with Sentinel longer than a failover.
	TTL time.Duration
	// Strict counts the quota as spent, for its whole interval, when the ledger is new
	// or was lost: see [Store.Create]. Without it the processes that are alive restore
	// what they have spent, so a loss of data together with the process that has
	// spent most may let the quota be passed.
	Strict bool
	// Replicas is how many replicas must confirm each call, so that a failover loses
	// nothing; default 0. It does not work with a cluster.
	Replicas int
	// Key encrypts the logins in Redis with AES-GCM. It has 16, 24 or 32 bytes. Without it
	// they are readable there.
	Key []byte
	// Logger gets a warning for each failed call; default nil, which logs nothing.
	// The client logs on its own account: see redis.SetLogger.
	Logger *slog.Logger
}

// GoString keeps the key out of %#v.
func (o Options) GoString() string { return "redisstore.Options" }

// String keeps the key out of %v.
func (o Options) String() string { return o.GoString() }

// Store is a [pool.Store] on Redis. It is safe for concurrent use.
type Store struct {
	client redis.UniversalClient
	own    bool
	o      Options
	seal   sealer
	config string

	// A lower bound of the server's clock: what it said, and when.
	mu     sync.Mutex
	server int64
	at     time.Time
	seq    int64 // of calls

	noHold, noFence bool // for tests that are to see what these are for
}

var _ pool.Store = (*Store)(nil)

// New returns a store that uses the caller's client. Set MaxRetries of the client to -1
// and ContextTimeoutEnabled to true: the pool repeats calls itself, and bounds each.
func New(client redis.UniversalClient, o Options) (*Store, error) {
	if client == nil {
		return nil, errors.New("redisstore: New needs a client, not nil")
	}
	o.Prefix, o.Fleet, o.TTL = cmp.Or(o.Prefix, "proxylite"), cmp.Or(o.Fleet, "default"), cmp.Or(o.TTL, 30*time.Second)
	_, cluster := client.(*redis.ClusterClient)
	switch {
	case o.TTL < time.Second:
		return nil, fmt.Errorf("redisstore: Options.TTL must be at least 1s, not %v", o.TTL)
	case o.Replicas < 0:
		return nil, fmt.Errorf("redisstore: Options.Replicas must not be negative, not %d", o.Replicas)
	case o.Replicas > 0 && cluster:
		return nil, errors.New("redisstore: Options.Replicas does not work with a cluster: leave it 0 there")
	case strings.ContainsAny(o.Prefix+o.Fleet, "{}"):
		return nil, errors.New("redisstore: Options.Prefix and Options.Fleet must not contain braces")
	}
	s := &Store{client: client, o: o}
	s.o.Key = nil
	var err error
	if s.seal, err = newSealer(o.Key); err != nil {
		return nil, err
	}
	s.config = fmt.Sprintf("v1 ttl=%v key=%s", o.TTL, s.seal.fingerprint())
	return s, nil
}

// Open is New with a client of its own for a URL: redis://, rediss:// or unix://, as
// redis.ParseURL reads it. Close it.
func Open(url string, o Options) (*Store, error) {
	ro, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("redisstore: the URL is not one of Redis: it must be redis://user:password@host:port/db") // without the URL, which may have a password
	}
	ro.MaxRetries, ro.ContextTimeoutEnabled = -1, true
	ro.DialTimeout, ro.DisableIdentity = cmp.Or(ro.DialTimeout, time.Second), true
	client := redis.NewClient(ro)
	s, err := New(client, o)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	s.own = true
	return s, nil
}

// Close closes the client of Open. One that was given to New is the caller's to close.
func (s *Store) Close() error {
	if !s.own {
		return nil
	}
	return s.client.Close()
}

// String names the fleet.
func (s *Store) String() string { return "redisstore.Store(" + s.o.Prefix + " " + s.o.Fleet + ")" }

// GoString keeps what the store knows out of %#v.
func (s *Store) GoString() string { return s.String() }

// LogValue is String, for slog.
func (s *Store) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Create says that the fleet and these namespaces are new, so that they can be used at
// once. A namespace that is not there may else be one that was lost, with claims
// that are alive: nothing is handed out for a little more than the TTL. The same goes
// for the ledger when it is Strict, which then counts as spent for the interval of the
// quota. Create does nothing to what is there.
//
// Call it once, by hand or when a fleet is deployed for the first time. Calling it
// whenever a program starts would make a loss of data look like a new fleet.
func (s *Store) Create(ctx context.Context, namespaces ...string) error {
	for _, namespace := range namespaces {
		_, err := s.run(ctx, createScript, "create", namespace, &call{Create: true})
		if err != nil {
			return err
		}
	}
	return nil
}

// keys are the keys of a namespace, as prelude.lua names them.
func (s *Store) keys(namespace string) []string {
	fleet := s.o.Prefix + ":{" + s.o.Fleet + "}:"
	var keys []string
	for _, name := range []string{"meta", "owners", "held", "own", "free", "ends", "data", "tomb", "sess", "sessends"} {
		keys = append(keys, fleet+"stock:"+namespace+":"+name)
	}
	for _, name := range []string{"led", "ledat", "ledmeta"} {
		keys = append(keys, fleet+"ledger:"+name)
	}
	return keys
}

//go:embed prelude.lua
var prelude string

//go:embed sync.lua
var syncLua string

//go:embed claim.lua
var claimLua string

//go:embed deposit.lua
var depositLua string

var (
	createScript  = redis.NewScript(prelude + "return {'ok', ms(now)}")
	syncScript    = redis.NewScript(prelude + syncLua)
	claimScript   = redis.NewScript(prelude + claimLua)
	depositScript = redis.NewScript(prelude + depositLua)
)
