package redisstore_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// capture keeps the last script call of a client.
type capture struct{ last *atomic.Value }

func (c capture) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c capture) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.HasPrefix(cmd.Name(), "eval") {
			c.last.Store(slices.Clone(cmd.Args()))
		}
		return next(ctx, cmd)
	}
}

func (c capture) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
