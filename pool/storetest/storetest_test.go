package storetest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/storetest"
)

func TestTheMemoryStore(t *testing.T) {
	t.Parallel()
	storetest.RunIn(t, func(t *testing.T, test func(*testing.T, storetest.Harness)) {
		synctest.Test(t, func(t *testing.T) {
			test(t, storetest.Harness{Store: pool.NewMemoryStore(), Advance: time.Sleep})
		})
	})
}
