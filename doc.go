// Package proxylite is a client for the ProxyLite proxy API: proxy accounts and their
// traffic, extraction of proxy IPs, static IPs, orders and payment.
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
// Create one [Client] and share it: it is safe for concurrent use. Its fields are
// services, and their methods are the operations of the API. A list with pages has two
// methods: List returns one [Page], and All returns an iterator that requests each page
// when it is needed. Use [Call] for an endpoint without a method.
//
// # Errors
//
// A failed call returns an [*Error] with the operation, the kind of failure, the code
// and message of the API, and the beginning of the response. Use [errors.Is] to test for
// [ErrInvalidAppKey], [ErrIPNotAllowed], [ErrRateLimited] and the other error variables.
// Input is checked before anything is sent; an [InputError] lists all problems with it.
// Errors and log lines never contain the credential.
//
// # Outcome of a failed call
//
// [Error.Outcome] says whether a failed call may have taken effect. After
// [OutcomeNotSent] and [OutcomeRejected], nothing was bought. After [OutcomeUnknown], the
// request may have been processed, but no response says so. errors.Is(err,
// [ErrOutcomeUnknown]) tests for it. Before you retry a call that costs money or quota,
// look at the orders, the accounts or the usage.
//
// # Retries
//
// Calls that are safe or idempotent are retried after a temporary failure; see
// [RetryPolicy] and [WithRetry]. Calls that spend money or quota (Orders.Create,
// IP.Extract, Accounts.Add) are retried only if nothing was sent. Each attempt has a
// timeout, set by [WithAttemptTimeout]. Use a context to limit the whole call, including
// the waits between attempts.
//
// # Units and times
//
// [Traffic] is counted in units of 1024, such as 5*proxylite.GB. Money is a [Decimal],
// exactly as the API sent it. Times of the API have no zone; they are read and sent as
// UTC+8 unless [WithTimeZone] sets another zone. Statuses and types are open sets: a
// value without a constant is kept and printed as a number.
//
// # Passwords
//
// A [Password] is redacted when it is printed, logged or encoded as JSON.
// [Password.Reveal] returns its text, and [MarshalRevealed] encodes JSON with passwords.
//
// # Responses
//
// Irregular responses are decoded if their meaning is clear, such as a number in quotes
// or null for an empty list. Anything ambiguous is an [ErrMalformedResponse].
// [CallRaw] stores the response as it was received.
//
// # Testing your code
//
// Package proxylitetest is an in-process ProxyLite server with state, for tests.
// [WithBaseURL] accepts any server on loopback, and [WithTransport] any
// [net/http.RoundTripper]. [NewError] and [NewErrorLike] return errors for your own
// mocks.
package proxylite
