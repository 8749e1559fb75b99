// Package proxylite is a client of ProxyLite's proxy API: sub-accounts and their
// traffic, extraction of proxy IPs, static IPs, orders and payment.
//
// # A smallest program
//
//	client, err := proxylite.NewClientFromEnv() // PROXYLITE_APP_KEY or PROXYLITE_TOKEN
//	if err != nil {
//		return err
//	}
//	accounts, err := client.Accounts.List(ctx)
//	if err != nil {
//		return err
//	}
//	for _, account := range accounts {
//		fmt.Println(account.Username, account.Used)
//	}
//
// Make one [Client] and share it: it is safe for concurrent use. Its services hold
// the operations. Lists that have pages come twice:
// List returns one [Page], All is an iterator that asks for a page when it is
// needed. An endpoint without a method is reached with [Call].
//
// # Errors
//
// A call that fails returns an [*Error]: what was called, what went wrong, what the
// API said, and the beginning of its answer. Branch with [errors.Is] on
// [ErrInvalidAppKey], [ErrIPNotAllowed], [ErrRateLimited] and their like. Input is
// checked before anything is sent; [InputError] names all that is wrong with it.
// The credential is in no error, log line or printed value.
//
// # Did it happen?
//
// [Error.Outcome] says what became of a failed call. After [OutcomeNotSent] and
// [OutcomeRejected] nothing was bought. [OutcomeUnknown], or
// errors.Is(err, [ErrOutcomeUnknown]), says that a request went out and no answer
// tells what it did: look at the orders, the accounts or the usage before you
// repeat a call that costs.
//
// # Retries
//
// Calls that only read, and those that change nothing the second time, are
// repeated after a failure that may pass: see [RetryPolicy] and [WithRetry]. Calls
// that spend money or quota (Orders.Create, IP.Extract, Accounts.Add) are sent once,
// unless no byte of them reached the server. Each attempt has a clock,
// [WithAttemptTimeout]; the context bounds the whole call, waits included.
//
// # Units and times
//
// [Traffic] counts in units of 1024: 5*proxylite.GB. Money is a [Decimal], exact as
// sent. The API's times have no zone; they are read and written in UTC+8 unless
// [WithTimeZone] says otherwise. Statuses and types are open sets: a value that is
// new to this package is kept and printed as a number.
//
// # Raw answers
//
// [CallRaw] stores an answer as it came. Answers are read leniently where nothing
// can be mistaken (a number in quotes, a null list), and are an error elsewhere
// ([ErrMalformedResponse]): never a wrong value.
//
// # Testing your code
//
// Package proxylitetest is a ProxyLite in the process, with state, over real HTTP.
// [WithTransport] takes any [net/http.RoundTripper], and [WithBaseURL] any server
// on loopback.
package proxylite
