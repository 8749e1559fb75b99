package redisstore

import "errors"

// Error is a failed call of the store. A pool that gets one uses what it has until its
// claims end, and spends nothing.
type Error struct {
	Op  string // "sync", "claim", "deposit" or "create"
	Err error  // the client's, or one of those below
}

// Error names the call and the cause.
func (e *Error) Error() string { return "redisstore: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// The causes that are not the client's, with errors.Is.
var (
	// ErrReplicas: fewer replicas than [Options.Replicas] have confirmed the call in time.
	ErrReplicas = errors.New("too few replicas have confirmed the call")
	// ErrLate: the call arrived after its deadline, and did nothing.
	ErrLate = errors.New("the call arrived too late, and did nothing")
	// ErrRepeated: the client sent a call twice, or two calls of one member overtook each
	// other.
	ErrRepeated = errors.New("the call arrived a second time: set MaxRetries of the client to -1")
	// ErrSealed: what is in Redis was not encrypted with [Options.Key].
	ErrSealed = errors.New("can't decrypt what is in Redis: is Options.Key the one that it was stored with?")
	// ErrResponse: Redis responded with something that the scripts do not return.
	ErrResponse = errors.New("unexpected response of Redis")
)
