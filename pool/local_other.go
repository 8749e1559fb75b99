//go:build !windows

package pool

var systemErrors []error
