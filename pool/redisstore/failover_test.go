//go:build linux

package redisstore_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/redisstore"
)

func (v verdict) safe(t *testing.T) {
	t.Helper()
	require.Zero(t, v.twice, "claims granted twice")
	require.Zero(t, v.foreign, "uses while another process had the claim")
	require.Zero(t, v.late, "uses after the end of the claim")
	require.Zero(t, v.expired, "uses after the end of the address")
	require.Zero(t, v.together, "fetches at the same time")
}

// A master dies with writes that its replica has not seen.
func TestAFleetOverAFailoverThatLosesWrites(t *testing.T) {
	t.Parallel()
	master := newServer(t)
	follow := func(s, of *server) {
		s.args = []string{"--replicaof", "127.0.0.1 " + strconv.Itoa(of.port), "--repl-diskless-sync-delay", "0"}
	}
	replica := newServer(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(master.port))
	linked := func(s *server) func() bool {
		return func() bool { return strings.Contains(s.ask("INFO replication"), "master_link_status:up") }
	}
	require.Eventually(t, linked(replica), time.Minute, 50*time.Millisecond)
	sentinel := newSentinel(t, master)
	require.Eventually(t, func() bool { return strings.Contains(sentinel.ask("SENTINEL MASTER fleet"), "num-slaves\r\n$1\r\n1") }, time.Minute, 50*time.Millisecond)

	s := newStorm(t, func(j *job) { j.Redis, j.Sentinel, j.TTL = []string{sentinel.addr()}, true, 4*time.Second })
	s.faults = []string{"a failover loses writes", "a process is killed"}
	s.other = func() {
		_ = replica.cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(time.Second) // of writes that will be lost
		master.kill()
		_ = replica.cmd.Process.Signal(syscall.SIGCONT)
		require.Eventually(t, func() bool {
			return strings.Contains(sentinel.ask("SENTINEL GET-MASTER-ADDR-BY-NAME fleet"), strconv.Itoa(replica.port))
		}, time.Minute, 50*time.Millisecond)
		follow(master, replica)
		master.start()
		master, replica = replica, master
		require.Eventually(t, linked(replica), time.Minute, 50*time.Millisecond)
		require.Eventually(t, func() bool { return !strings.Contains(sentinel.ask("SENTINEL MASTER fleet"), "failover_in_progress") }, time.Minute, 50*time.Millisecond)
	}
	v := s.run(6, func(faults int) bool { return faults >= long(1, 5) })
	v.safe(t)
}

// The slot of the fleet moves to another node, key by key, while it is used.
func TestAFleetWhoseSlotMoves(t *testing.T) {
	t.Parallel()
	node := []string{"--cluster-enabled", "yes", "--cluster-allow-replica-migration", "no"}
	a, b := newServer(t, node...), newServer(t, node...)
	require.Contains(t, a.ask("CLUSTER ADDSLOTSRANGE 0 16383"), "OK")
	require.Contains(t, a.ask("CLUSTER MEET 127.0.0.1 "+strconv.Itoa(b.port)), "OK")
	for _, s := range []*server{a, b} {
		require.Eventually(t, func() bool {
			info := s.ask("CLUSTER INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:2")
		}, time.Minute, 50*time.Millisecond)
	}
	id := func(s *server) string { return regexp.MustCompile(`[0-9a-f]{40}`).FindString(s.ask("CLUSTER MYID")) }
	slot := regexp.MustCompile(`:(\d+)`).FindStringSubmatch(a.ask("CLUSTER KEYSLOT {default}"))[1]

	s := newStorm(t, func(j *job) { j.Redis, j.Cluster = []string{a.addr(), b.addr()}, true })
	s.faults = []string{"the slot moves", "a process is killed"}
	moves := 0
	s.other = func() {
		require.Contains(t, b.ask(fmt.Sprintf("CLUSTER SETSLOT %s IMPORTING %s", slot, id(a))), "OK")
		require.Contains(t, a.ask(fmt.Sprintf("CLUSTER SETSLOT %s MIGRATING %s", slot, id(b))), "OK")
		for {
			key := regexp.MustCompile(`proxylite:\S+`).FindString(a.ask("CLUSTER GETKEYSINSLOT " + slot + " 1"))
			if key == "" {
				break
			}
			reply := a.ask(fmt.Sprintf("MIGRATE 127.0.0.1 %d %s 0 5000", b.port, key))
			require.Contains(t, reply, "+OK", key)
			time.Sleep(50 * time.Millisecond)
		}
		for _, s := range []*server{b, a} {
			require.Contains(t, s.ask(fmt.Sprintf("CLUSTER SETSLOT %s NODE %s", slot, id(b))), "OK")
		}
		a, b = b, a
		require.Eventually(t, func() bool { // both know
			return strings.HasPrefix(a.ask("GET {default}"), "$-1") && strings.Contains(b.ask("GET {default}"), "MOVED")
		}, time.Minute, 50*time.Millisecond)
		moves++
	}
	v := s.run(6, func(faults int) bool { return faults >= long(3, 9) })
	v.safe(t)
	require.GreaterOrEqual(t, moves, 2)
}

// A master without replicas hands out nothing, as another one may have taken its place.
func TestTooFewReplicas(t *testing.T) {
	t.Parallel()
	m := newServer(t)
	s := open(t, m.addr(), redisstore.Options{Replicas: 1})
	_, err := s.Sync(t.Context(), pool.Member{Namespace: "stock", ID: "a"}, pool.Report{Full: true})
	require.ErrorIs(t, err, redisstore.ErrReplicas)
	require.ErrorContains(t, err, "0 of 1")
}
