package purchase

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// File is a journal in a file, a JSON object on each line. One process at a time can
// have it open, and all buyers of that process share it: a File knows nothing of what is
// bought on other machines.
//
// Each record is on the disk before Append returns. A last line that a crash cut is
// removed when the file is opened: nothing was sent for it. A line that is damaged
// otherwise is an error. The file and its lock are
// readable by their owner only.
//
// When the file has grown to twice what is needed, and to 1 MiB, it is renamed, with the
// time in its name, and a new one begins with what is needed: purchases that are not
// settled, and the first and last record of those begun in the last 400 days. Older keys
// are forgotten. Nothing reads the renamed files again.
type File struct {
	path string
	lock *os.File

	mu      sync.Mutex
	file    *os.File
	size    int64
	rotate  int64 // at this size
	records []Record
	broken  error // why nothing can be added any more
}

// ErrLocked is returned by [OpenFile] if another process has the journal open.
var ErrLocked = errors.New("purchase: the journal is open in another process")

const (
	minRotate = 1 << 20
	keepFor   = 400 * 24 * time.Hour
)

// OpenFile opens the journal at path, or creates it. Close it at the end. If another
// process has it open, the error is [ErrLocked]. Do not put it on a network file system.
func OpenFile(path string) (*File, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // it has one lock, whatever it is called
	}
	lock, err := acquire(path + ".lock")
	if err != nil {
		return nil, err
	}
	f := &File{path: path, lock: lock}
	if err := f.load(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// load reads the file, and cuts off a last line that is torn.
func (f *File) load() (err error) {
	if err := recoverNew(f.path); err != nil {
		return err
	}
	if f.file, err = os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	lines := bufio.NewReader(f.file)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			break // without its newline, a line was never completed
		}
		if err != nil {
			return err
		}
		var r Record
		if err := json.Unmarshal(line, &r); err != nil || r.Seq <= f.last() || r.Intent <= 0 {
			if _, more := lines.Peek(1); more == io.EOF && bytes.IndexByte(line, 0) >= 0 {
				break // some of its blocks never came to the disk
			}
			return fmt.Errorf("purchase: line %d of %s is not a valid record there: restore the file, or fix the line by hand: %w", n, f.path, errors.Join(err, errDamaged))
		}
		f.records = append(f.records, r)
		f.size += int64(len(line))
	}
	f.rotate = max(minRotate, 2*f.size)
	if err := f.file.Truncate(f.size); err != nil {
		return err
	}
	if _, err := f.file.Seek(f.size, io.SeekStart); err != nil {
		return err
	}
	return errors.Join(f.file.Sync(), syncDir(f.path))
}

var errDamaged = errors.New("damaged")

func (f *File) last() int64 {
	if len(f.records) == 0 {
		return 0
	}
	return f.records[len(f.records)-1].Seq
}

// Close closes the file and lets others open it.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = os.ErrClosed
	var err error
	if f.file != nil {
		err = f.file.Close()
		f.file = nil
	}
	if f.lock != nil {
		err = errors.Join(err, release(f.lock))
		f.lock = nil
	}
	return err
}

// Read returns the records whose Seq is above after.
func (f *File) Read(_ context.Context, after int64) ([]Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, found := slices.BinarySearchFunc(f.records, after, func(r Record, seq int64) int { return cmp.Compare(r.Seq, seq) })
	if found {
		i++
	}
	return slices.Clone(f.records[i:]), nil
}

// Append adds a record, and returns when it is on the disk.
func (f *File) Append(_ context.Context, r Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return fmt.Errorf("purchase: %s can't be written: %w", f.path, f.broken)
	}
	if r.Seq != f.last()+1 {
		return ErrConflict
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if f.size >= f.rotate {
		if err := f.compact(); err != nil {
			return fmt.Errorf("purchase: rotate %s: %w", f.path, err)
		}
	}
	line = append(line, '\n')
	if _, err = f.file.Write(line); err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		// What is on the disk after a failed fsync is not known: a new start reads it.
		f.broken = err
		return fmt.Errorf("purchase: %s: %w", f.path, err)
	}
	f.records = append(f.records, r)
	f.size += int64(len(line))
	return nil
}

// compact keeps the old file under another name, and puts a new one in its place. After a
// crash between the two renames, recoverNew finishes it.
func (f *File) compact() (err error) {
	kept := needed(f.records, time.Now())
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	for _, r := range kept {
		if err := lines.Encode(r); err != nil {
			return err
		}
	}
	if err := writeWhole(f.path+newSuffix, text.Bytes()); err != nil {
		return err
	}
	if err := syncDir(f.path); err != nil {
		return err
	}
	defer func() { f.broken = err }() // from here on only a new start can tell
	if err := f.file.Close(); err != nil {
		return err
	}
	old := f.path + "." + time.Now().UTC().Format("20060102T150405.000000000Z")
	if err := errors.Join(os.Rename(f.path, old), os.Rename(f.path+newSuffix, f.path), syncDir(f.path)); err != nil {
		return err
	}
	f.file, err = os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND, 0)
	f.records, f.size = kept, int64(text.Len())
	f.rotate = max(minRotate, 2*f.size)
	return err
}

const newSuffix = ".new"

// recoverNew finishes or undoes what compact had begun when the process died.
func recoverNew(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		err = os.Rename(path+newSuffix, path)
	} else if err == nil {
		err = os.Remove(path + newSuffix)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func writeWhole(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the caller chooses the path
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

// needed returns the first and the last record of each purchase that is not settled or
// not old: the last one repeats what those between said.
func needed(records []Record, now time.Time) []Record {
	first, last := map[int64]*Record{}, map[int64]*Record{}
	for i := range records {
		r := &records[i]
		if r.Open != nil {
			first[r.Seq] = r
		}
		last[r.Intent] = r
	}
	return slices.DeleteFunc(slices.Clone(records), func(r Record) bool {
		open, end := first[r.Intent], last[r.Intent]
		switch {
		case open == nil || r.Open == nil && r.Seq != end.Seq:
			return true
		case open.Open.extraction() || end.State == NotSent || end.State == Closed, end.State == Made && end.Order != nil && settled(end.Order.Status):
			return now.Sub(open.Time) > keepFor
		}
		return false
	})
}
