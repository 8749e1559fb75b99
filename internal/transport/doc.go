// Package transport sends the requests of a call. It adds the credential, opens a
// separate connection for a call that must not be sent twice, limits what net/http sends
// again by itself, and records whether a request may have reached the server.
//
// The root package reads the responses.
package transport
