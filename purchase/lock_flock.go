//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package purchase

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// acquire takes the lock of a journal. The system releases it when the process ends,
// however that happens, so the file stays.
func acquire(path string) (*os.File, error) {
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the caller chooses the path
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("%w: it holds %s", ErrLocked, path)
		}
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// release unlocks before it closes: a process that is being started at this moment has
// the file open too, until it runs its program.
func release(lock *os.File) error {
	return errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_UN), lock.Close())
}

// syncDir makes the names in a file's folder survive a crash of the machine.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
