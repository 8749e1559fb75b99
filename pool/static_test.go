package pool_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

// staticIPs lists entries, and an error where one has no ID.
type staticIPs []proxylite.StaticIP

var errList = errors.New("no list")

func (s staticIPs) AllStatic(context.Context, proxylite.IPListStaticParams, ...proxylite.CallOption) iter.Seq2[proxylite.StaticIP, error] {
	return func(yield func(proxylite.StaticIP, error) bool) {
		for _, ip := range s {
			var err error
			if ip.ID == "" {
				err = errList
			}
			if !yield(ip, err) {
				return
			}
		}
	}
}

func TestStaticIPsThatWorkAreProxies(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(time.Hour)
	list := staticIPs{
		{ID: "1", IP: "10.0.0.1", Port: 80, Username: "u", Password: proxylite.NewPassword("p"), Status: proxylite.StaticIPValid, ExpiredAt: end},
		{ID: "2", IP: "10.0.0.2", Port: 80, Status: proxylite.StaticIPInvalid},
		{ID: "3", IP: "10.0.0.3", Port: 80, Status: proxylite.StaticIPExpiringSoon},
		{ID: "4", IP: "10.0.0.4", Port: 80, Status: proxylite.StaticIPMaintenance},
		{ID: "5", Status: proxylite.StaticIPValid}, // says nowhere where it is
	}
	source := pool.Static(list, proxylite.IPListStaticParams{})
	require.False(t, source.Costs)
	got, err := source.Fetch(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, []pool.Proxy{
		{Endpoint: proxylite.Endpoint{Host: "10.0.0.1", Port: 80, Username: "u", Password: proxylite.NewPassword("p")}, Expires: end},
		{Endpoint: proxylite.Endpoint{Host: "10.0.0.3", Port: 80}},
	}, got)

	got, err = pool.Static(append(list, proxylite.StaticIP{}), proxylite.IPListStaticParams{}).Fetch(t.Context(), 1)
	require.ErrorIs(t, err, errList)
	require.Empty(t, got)
}
