package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/proxylite/proxylite-go/pool"
)

// call is what a script reads. Times are milliseconds. No list may be null.
type call struct {
	NotAfter int64  `json:"notafter"` // on the server's clock; 0: no limit
	Sent     int64  `json:"sent"`     // on the server's clock, or a little before; 0: not known
	Config   string `json:"config"`
	TTL      int64  `json:"ttl"`
	Hold     int64  `json:"hold"`
	Fence    bool   `json:"fence"`
	Lenient  bool   `json:"lenient"`
	Create   bool   `json:"create"`
	Member   string `json:"member,omitempty"`
	Epoch    int64  `json:"epoch"`
	Seq      int64  `json:"seq,omitempty"`

	Full     bool      `json:"full"`
	Alive    bool      `json:"alive"`
	Held     []holding `json:"held"`
	Drop     []drop    `json:"drop"`
	Pins     []pin     `json:"pins"`
	Bookings []booking `json:"bookings"`

	N        int      `json:"n"`
	MinLeft  int64    `json:"minleft"`
	Ask      int      `json:"ask"`
	Limit    int      `json:"limit"`
	Per      int64    `json:"per"`
	Sessions []string `json:"sessions"`

	Token  string `json:"token"`
	Settle bool   `json:"settle"`
	Spent  int    `json:"spent"`
}

type holding struct {
	ID      string `json:"id"`
	Payload string `json:"payload"`
	Left    int64  `json:"left"` // -1: no end
}

type drop struct {
	ID      string `json:"id"`
	Retired bool   `json:"retired"`
	Time    int64  `json:"time"`
	MinLeft int64  `json:"minleft"`
}

type pin struct {
	Key string `json:"key"`
	ID  string `json:"id"`
}

type booking struct {
	Token string `json:"token"`
	N     int    `json:"n"`
	Ago   int64  `json:"ago"`
}

const (
	longest = 7 * 24 * time.Hour // that a proxy which was retired is refused
	chunk   = 500                // proxies in one call of deposit
)

// run runs a script and returns what follows its status and time.
func (s *Store) run(ctx context.Context, script *redis.Script, op, namespace string, c *call) ([]any, error) {
	reply, err := s.try(ctx, script, namespace, c)
	if errors.Is(err, ErrLate) && ctx.Err() == nil { // the clock of the server may have moved
		reply, err = s.try(ctx, script, namespace, c)
	}
	switch {
	case err == nil:
		return reply, nil
	case errors.Is(err, pool.ErrRejoin):
		return nil, err
	}
	err = &Error{op, err}
	if s.o.Logger != nil {
		s.o.Logger.LogAttrs(ctx, slog.LevelWarn, "store call failed", slog.String("fleet", s.o.Fleet), slog.Any("error", err))
	}
	return nil, err
}

// estimate returns what the clock of the server shows at least, or 0.
func (s *Store) estimate() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == 0 {
		return 0
	}
	return s.server + time.Since(s.at).Milliseconds()
}

func (s *Store) try(ctx context.Context, script *redis.Script, namespace string, c *call) ([]any, error) {
	c.Config, c.TTL, c.Lenient, c.Fence = s.config, s.o.TTL.Milliseconds(), !s.o.Strict, !s.noFence
	if !s.noHold {
		c.Hold = c.TTL + max(c.TTL/10, 1000)
	}
	c.Sent, c.NotAfter = s.estimate(), 0
	if deadline, ok := ctx.Deadline(); ok && c.Sent > 0 {
		c.NotAfter = c.Sent + time.Until(deadline).Milliseconds()
	}
	if c.Member != "" {
		s.mu.Lock()
		s.seq++
		c.Seq = s.seq
		s.mu.Unlock()
	}
	body, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	reply, err := s.eval(ctx, script, s.keys(namespace), body)
	if err != nil {
		return nil, err
	}
	if len(reply) < 2 {
		return nil, ErrResponse
	}
	status, now := text(reply[0]), number(reply[1])
	s.mu.Lock()
	s.server, s.at = now, time.Now()
	s.mu.Unlock()
	switch status {
	case "ok":
		return reply[2:], nil
	case "rejoin":
		return nil, pool.ErrRejoin
	case "late":
		return nil, ErrLate
	case "repeated":
		return nil, ErrRepeated
	case "config":
		return nil, fmt.Errorf("%w: here %q, in Redis %q", pool.ErrStoreConfig, s.config, text(reply[len(reply)-1]))
	}
	return nil, ErrResponse
}

// eval sends a script, and waits for replicas where that is wanted.
func (s *Store) eval(ctx context.Context, script *redis.Script, keys []string, body []byte) ([]any, error) {
	if s.o.Replicas == 0 {
		return script.Run(ctx, s.client, keys, body).Slice()
	}
	patience := min(s.o.TTL/5, 2*time.Second) // less than the read timeout of a client
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline)*3/4)
	}
	for loaded := false; ; loaded = true {
		pipe := s.client.Pipeline()
		cmd := script.EvalSha(ctx, pipe, keys, body)
		wait := redis.NewIntCmd(ctx, "WAIT", s.o.Replicas, max(1, patience.Milliseconds()))
		_ = pipe.Process(ctx, wait)
		_, err := pipe.Exec(ctx)
		if !loaded && cmd.Err() != nil && redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			if err := script.Load(ctx, s.client).Err(); err != nil {
				return nil, err
			}
			continue
		}
		switch {
		case err != nil:
			return nil, err
		case wait.Val() < int64(s.o.Replicas):
			return nil, fmt.Errorf("%w: %d of %d", ErrReplicas, wait.Val(), s.o.Replicas)
		}
		return cmd.Slice()
	}
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func number(v any) int64 {
	n, _ := strconv.ParseInt(text(v), 10, 64)
	return n
}

func texts(v any) []string {
	list, _ := v.([]any)
	all := make([]string, len(list))
	for i, v := range list {
		all[i] = text(v)
	}
	return all
}

// millis rounds down, and keeps what has no end apart.
func millis(d time.Duration) int64 {
	if d == pool.Forever {
		return -1
	}
	return max(0, d.Milliseconds())
}

// Sync is for the pool: see [pool.Store].
func (s *Store) Sync(ctx context.Context, m pool.Member, r pool.Report) (pool.Standing, error) {
	c := &call{
		Member: s.seal.member(m.ID), Epoch: m.Epoch, Full: r.Full, Alive: r.Alive,
		Held: []holding{}, Drop: []drop{}, Pins: []pin{}, Bookings: []booking{},
	}
	var err error
	if c.Held, err = s.holdings(m.Namespace, r.Held, func(id string) string { return id }); err != nil {
		return pool.Standing{}, &Error{"sync", err}
	}
	for _, d := range r.Drop {
		c.Drop = append(c.Drop, drop{d.ID, d.Retired, min(d.For, longest).Milliseconds(), max(0, d.MinLeft).Milliseconds()})
	}
	for key, id := range r.Pins {
		c.Pins = append(c.Pins, pin{s.seal.session(key), id})
	}
	for _, b := range r.Bookings {
		c.Bookings = append(c.Bookings, booking{b.Token, b.N, b.Ago.Milliseconds()})
	}
	reply, err := s.run(ctx, syncScript, "sync", m.Namespace, c)
	if err != nil {
		return pool.Standing{}, err
	}
	if len(reply) == 0 {
		return pool.Standing{}, &Error{"sync", ErrResponse}
	}
	return pool.Standing{Epoch: number(reply[0]), TTL: s.o.TTL, Lost: texts(reply[1:])}, nil
}

// Claim is for the pool: see [pool.Store].
func (s *Store) Claim(ctx context.Context, m pool.Member, w pool.Want) (pool.Claim, error) {
	c := &call{
		Member: s.seal.member(m.ID), Epoch: m.Epoch, N: w.N, MinLeft: w.MinLeft.Milliseconds(),
		Ask: w.Ask, Limit: w.Limit, Per: w.Per.Milliseconds(), Sessions: []string{},
	}
	keys := map[string]string{}
	for _, key := range w.Sessions {
		hashed := s.seal.session(key)
		keys[hashed] = key
		c.Sessions = append(c.Sessions, hashed)
	}
	reply, err := s.run(ctx, claimScript, "claim", m.Namespace, c)
	if err != nil {
		return pool.Claim{}, err
	}
	if len(reply) < 6 {
		return pool.Claim{}, &Error{"claim", ErrResponse}
	}
	claim := pool.Claim{Why: pool.Wait(text(reply[0])), Again: time.Duration(number(reply[1])) * time.Millisecond, Homes: map[string]string{}}
	if token := text(reply[2]); token != "" {
		claim.Grant = &pool.Grant{Token: token, N: int(number(reply[3])), Left: s.o.TTL, Per: w.Per}
	}
	for pair := range slices.Chunk(texts(reply[4]), 2) {
		claim.Homes[keys[pair[0]]] = pair[1]
	}
	for part := range slices.Chunk(texts(reply[5]), 3) {
		h := pool.Holding{ID: part[0], Left: pool.Forever}
		if left := number(part[2]); left >= 0 {
			h.Left = time.Duration(left) * time.Millisecond
		}
		if h.Endpoint, err = s.seal.open(s.place(m.Namespace, h.ID), part[1]); err != nil {
			return pool.Claim{}, &Error{"claim", err}
		}
		claim.Got = append(claim.Got, h)
	}
	return claim, nil
}

// Deposit is for the pool: see [pool.Store]. Many proxies go in parts.
func (s *Store) Deposit(ctx context.Context, m pool.Member, g pool.Grant, spent int, got []pool.Holding) error {
	held, err := s.holdings(m.Namespace, got, s.seal.id)
	if err != nil {
		return &Error{"deposit", err}
	}
	parts := slices.Collect(slices.Chunk(held, chunk))
	if len(parts) == 0 {
		parts = [][]holding{{}}
	}
	for i, part := range parts {
		c := &call{Held: part, Settle: i == len(parts)-1, Token: g.Token, Spent: spent, Per: g.Per.Milliseconds()}
		reply, err := s.run(ctx, depositScript, "deposit", m.Namespace, c)
		if err != nil {
			return err
		}
		if c.Settle && (len(reply) == 0 || text(reply[0]) != "0") {
			return pool.ErrFenced
		}
	}
	return nil
}

func (s *Store) holdings(namespace string, list []pool.Holding, id func(string) string) ([]holding, error) {
	held := make([]holding, 0, len(list))
	for _, h := range list {
		name := id(h.ID)
		payload, err := s.seal.close(s.place(namespace, name), h.Endpoint)
		if err != nil {
			return nil, err
		}
		held = append(held, holding{name, payload, millis(h.Left)})
	}
	return held, nil
}

// place is what a payload is bound to: it can't be read in another one.
func (s *Store) place(namespace, id string) string {
	return strings.Join([]string{s.o.Prefix, s.o.Fleet, namespace, id}, "\x00")
}
