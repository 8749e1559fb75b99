package purchase_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/purchase"
)

func openFile(t *testing.T, path string) *purchase.File {
	t.Helper()
	f, err := purchase.OpenFile(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func records(t *testing.T, f *purchase.File) []purchase.Record {
	t.Helper()
	all, err := f.Read(context.Background(), 0)
	require.NoError(t, err)
	return all
}

// bought is the first and the last record of a purchase.
func bought(seq int64, key string, at time.Time, status proxylite.OrderStatus) []purchase.Record {
	at = at.UTC().Round(time.Second)
	return []purchase.Record{
		{Seq: seq, Intent: seq, Time: at, State: purchase.Unknown, Open: &purchase.Opening{Key: key, ProductID: traffic, MaxPay: "20", Until: at}},
		{Seq: seq + 1, Intent: seq, Time: at, State: purchase.Made, Order: &proxylite.Order{
			ID: seq, TradeNo: fmt.Sprint(seq), ProductID: traffic, PayFee: "18.20", Status: status, CreatedAt: at,
		}, Note: "as it was returned: 套餐 <b>&"},
	}
}

func appendAll(t *testing.T, f *purchase.File, all ...purchase.Record) {
	t.Helper()
	for _, r := range all {
		require.NoError(t, f.Append(t.Context(), r))
	}
}

func TestAFileKeepsItsRecords(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	f := openFile(t, path)
	want := append(bought(1, "a", time.Now(), 0), bought(3, "b", time.Now(), 1)...)
	appendAll(t, f, want...)
	require.Equal(t, want, records(t, f))
	later, err := f.Read(t.Context(), 3)
	require.NoError(t, err)
	require.Equal(t, want[3:], later)
	for _, seq := range []int64{0, 4, 6} {
		require.ErrorIs(t, f.Append(t.Context(), purchase.Record{Seq: seq, Intent: 1}), purchase.ErrConflict)
	}
	require.NoError(t, f.Close())
	require.ErrorIs(t, f.Append(t.Context(), purchase.Record{Seq: 5, Intent: 1}), os.ErrClosed)
	require.NoError(t, f.Close(), "twice")

	require.Equal(t, want, records(t, openFile(t, path)))
	if runtime.GOOS != "windows" {
		for _, name := range []string{path, path + ".lock"} {
			info, err := os.Stat(name)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode())
		}
	}
}

func TestAFileHasOneOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	f := openFile(t, path)
	_, err := purchase.OpenFile(path)
	require.ErrorIs(t, err, purchase.ErrLocked)
	require.ErrorContains(t, err, path)
	require.NoError(t, f.Close())
	openFile(t, path)
}

// Wherever the last line ends, the records before it are there, the torn one is not, and
// the next one follows on a line of its own.
func TestATornLastLineIsCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := openFile(t, filepath.Join(dir, "whole"))
	all := append(bought(1, "a", time.Now(), 0), bought(3, "b", time.Now(), 1)...)
	appendAll(t, f, all...)
	text := readFile(t, filepath.Join(dir, "whole"))
	begin := strings.LastIndex(text[:len(text)-1], "\n") + 1
	path := filepath.Join(dir, "torn")
	for n := begin; n <= len(text); n++ {
		require.NoError(t, os.WriteFile(path, []byte(text[:n]), 0o600))
		f := openFile(t, path)
		want := all[:3]
		if n == len(text) {
			want = all
		}
		require.Equal(t, want, records(t, f))
		if n < len(text) {
			require.Equal(t, text[:begin], readFile(t, path))
		}
		next := bought(int64(len(want))+1, "c", time.Now(), 0)
		appendAll(t, f, next...)
		require.NoError(t, f.Close())
		f = openFile(t, path)
		require.Len(t, records(t, f), len(want)+2)
		require.NoError(t, f.Close())
	}
}

// A line whose blocks never came to the disk is torn as well.
func TestZerosAtTheEndAreCutOff(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	f := openFile(t, path)
	appendAll(t, f, bought(1, "a", time.Now(), 0)...)
	require.NoError(t, f.Close())
	text := readFile(t, path)
	require.NoError(t, os.WriteFile(path, []byte(text+strings.Repeat("\x00", 300)+"\n"), 0o600))
	require.Len(t, records(t, openFile(t, path)), 2)
}

// A file that is damaged elsewhere is not taken for a shorter one: keys would be forgotten.
func TestADamagedFileIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	f := openFile(t, path)
	appendAll(t, f, append(bought(1, "a", time.Now(), 0), bought(3, "b", time.Now(), 0)...)...)
	require.NoError(t, f.Close())
	lines := strings.SplitAfter(readFile(t, path), "\n")
	for name, text := range map[string]string{
		"no JSON": lines[0] + "{\n" + lines[2] + lines[3],
		"twice":   lines[0] + lines[0] + lines[2],
		"swapped": lines[1] + lines[0] + lines[2],
		"empty":   lines[0] + "\n" + lines[2],
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := purchase.OpenFile(path)
		require.ErrorContains(t, err, "line 2 of "+path, name)
		require.Equal(t, text, readFile(t, path), "it is left as it is")
	}
}

// A file that has grown is renamed, and what is needed goes on: what is not settled, and
// all keys of the last 400 days.
func TestAFileRotates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	f := openFile(t, path)
	old, fresh := time.Now().AddDate(0, 0, -401), time.Now().AddDate(0, 0, -399)
	appendAll(t, f, bought(1, "old and paid", old, proxylite.OrderPaid)...)
	appendAll(t, f, bought(3, "old and waits", old, proxylite.OrderAwaitingPayment)...)
	appendAll(t, f, bought(5, "old and open", old, 0)[0])
	appendAll(t, f, bought(6, "fresh", fresh, proxylite.OrderPaid)...)
	seq := int64(8)
	rotated := func() []string {
		names, err := filepath.Glob(path + ".2*")
		require.NoError(t, err)
		return names
	}
	lines := readFile(t, path)
	big := bought(8, "big", fresh, 0)[0]
	appendAll(t, f, big)
	for ; len(rotated()) == 0; seq++ {
		r := purchase.Record{Seq: seq + 1, Intent: 8, Time: fresh.UTC(), State: purchase.Unknown, Note: strings.Repeat("x", 100_000)}
		appendAll(t, f, r)
		require.Less(t, seq, int64(100))
	}
	check := func(f *purchase.File) {
		var keys []string
		for _, r := range records(t, f) {
			if r.Open != nil {
				keys = append(keys, r.Open.Key)
			}
		}
		require.Equal(t, []string{"old and waits", "old and open", "fresh", "big"}, keys)
		all := records(t, f)
		require.Equal(t, seq, all[len(all)-1].Seq)
		require.Len(t, all, 4+2+2, "the first and last of each, and the newest")
	}
	check(f)
	require.True(t, strings.HasPrefix(readFile(t, rotated()[0]), lines), "the old file is whole")
	require.NoError(t, f.Close())
	f = openFile(t, path)
	check(f)
	require.Less(t, len(readFile(t, path)), 300_000)
	appendAll(t, f, bought(seq+1, "next", time.Now(), 0)...)
	_, err := os.Stat(path + ".new")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// When all purchases are old and settled, the numbers of the records go on.
func TestAFileOfOldPurchasesRotates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	f := openFile(t, path)
	seq := int64(1)
	for len(records(t, f)) == int(seq)-1 {
		pair := bought(seq, fmt.Sprint("old ", seq), time.Now().AddDate(-2, 0, 0), proxylite.OrderPaid)
		pair[1].Note = strings.Repeat("x", 100_000)
		appendAll(t, f, pair...)
		seq += 2
		require.Less(t, seq, int64(100))
	}
	require.Less(t, len(records(t, f)), 4)
	require.NoError(t, f.Close())
	f = openFile(t, path)
	appendAll(t, f, bought(seq, "next", time.Now(), 0)...)

	s := open(t, waits)
	buyer, err := purchase.New(s.client, f, waits, quick()...)
	require.NoError(t, err)
	_, err = buyer.Buy(t.Context(), "old 1", plan(traffic), upTo("20"))
	require.NoError(t, err)
	require.Len(t, s.orders(), 1, "the key was forgotten")
}

// The process may die between any two steps of a rotation.
func TestARotationMayDie(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	f := openFile(t, path)
	appendAll(t, f, bought(1, "a", time.Now(), 0)...)
	require.NoError(t, f.Close())
	text := readFile(t, path)

	// The new file is not whole, and the old one still there.
	require.NoError(t, os.WriteFile(path+".new", []byte(text[:20]), 0o600))
	f = openFile(t, path)
	require.Len(t, records(t, f), 2)
	require.NoError(t, f.Close())
	require.NoFileExists(t, path+".new")

	// The old one has gone, so the new one is whole.
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path, path+".20260101T000000.000000000Z"))
	f = openFile(t, path)
	require.Len(t, records(t, f), 2)
	require.NoFileExists(t, path+".new")
}

func TestAFileThatCantBeOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := purchase.OpenFile(filepath.Join(dir, "no", "such", "folder"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "j"), 0o700))
	_, err = purchase.OpenFile(filepath.Join(dir, "j"))
	require.Error(t, err)
}

// Whatever is in a file, opening it is no panic; what it takes it keeps.
func FuzzJournalFile(f *testing.F) {
	for _, r := range bought(1, "a", time.Unix(1e9, 0), 1) {
		line, err := json.Marshal(r)
		require.NoError(f, err)
		f.Add(append(line, '\n'))
	}
	f.Add([]byte(`{"seq":1,"intent":1,"state":"unknown","open":{"key":"a"}}` + "\n" + `{"seq":9223372036854775807,"intent":5,"state":"made"}` + "\n{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "j")
		require.NoError(t, os.WriteFile(path, text, 0o600))
		journal, err := purchase.OpenFile(path)
		if err != nil {
			return
		}
		all := records(t, journal)
		require.NoError(t, journal.Close())
		journal = openFile(t, path)
		require.Equal(t, all, records(t, journal))

		client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef"))
		require.NoError(t, err)
		buyer, err := purchase.New(client, journal, purchase.Policy{MaxIPs: 1})
		require.NoError(t, err)
		known, err := buyer.Purchases(t.Context())
		require.NoError(t, err)
		for _, p := range known {
			_ = p.String()
		}
		_, err = buyer.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 2})
		require.ErrorIs(t, err, purchase.ErrBudget)
	})
}

// A last line that is whole was sent for, so it is not forgotten when it is damaged later.
func TestALastLineThatIsNotTornIsKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	f := openFile(t, path)
	appendAll(t, f, bought(1, "a", time.Now(), 0)...)
	require.NoError(t, f.Close())
	lines := strings.SplitAfter(readFile(t, path), "\n")
	for name, last := range map[string]string{
		"no JSON": strings.Replace(lines[1], `"seq":2`, `"seq"=2`, 1),
		"twice":   lines[0],
		"empty":   "\n",
	} {
		require.NoError(t, os.WriteFile(path, []byte(lines[0]+last), 0o600))
		_, err := purchase.OpenFile(path)
		require.ErrorContains(t, err, "line 2 of "+path, name)
	}
}

// A file has one owner, whatever it is called.
func TestAFileWithTwoNamesHasOneOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, link := filepath.Join(dir, "j"), filepath.Join(dir, "link")
	f := openFile(t, path)
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	_, err := purchase.OpenFile(link)
	require.ErrorIs(t, err, purchase.ErrLocked)
	require.NoError(t, f.Close())
	openFile(t, link)
}
