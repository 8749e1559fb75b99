// Package transport sends the requests of a call. It adds the credential, gives a
// call that must not be sent twice a connection of its own, bounds what net/http
// sends again by itself, and knows what may have reached the server.
//
// It knows nothing of responses; see the root package for those.
package transport
