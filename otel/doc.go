// Package otel shows how the calls of a [proxylite.Client] become OpenTelemetry
// spans, and proves that no span, whatever the server says, holds a secret. There is
// nothing to import: see the example and copy what you need.
//
// It is a module of its own, so that the client does not depend on OpenTelemetry.
package otel

import _ "github.com/proxylite/proxylite-go" // for the links above
