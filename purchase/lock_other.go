//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package purchase

import (
	"errors"
	"fmt"
	"os"
)

// acquire takes the lock of a journal. The lock is a file that exists while it is held,
// so after a crash somebody has to remove it.
func acquire(path string) (*os.File, error) {
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the caller chooses the path
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%w: if it has ended in a crash, remove %s", ErrLocked, path)
	}
	return lock, err
}

func release(lock *os.File) error { return errors.Join(lock.Close(), os.Remove(lock.Name())) }

// syncDir does nothing: these systems can't flush a folder.
func syncDir(string) error { return nil }
