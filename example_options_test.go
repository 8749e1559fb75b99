package proxylite_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// With an observer, you can count calls or start spans.
func ExampleWithObserver() {
	observer := func(ctx context.Context, start proxylite.CallInfo) (context.Context, func(proxylite.CallInfo)) {
		return ctx, func(end proxylite.CallInfo) {
			fmt.Println(start.Operation, end.Status, end.Attempts, end.Err)
		}
	}
	_, err := demo(proxylite.WithObserver(observer)).IP.SearchStates(context.Background(), "US")
	fmt.Println(err)
	// Output:
	// IP.SearchStates 200 1 <nil>
	// <nil>
}

func ExampleWithLogger() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "duration" {
				return slog.Attr{}
			}
			return a
		},
	}))
	_, err := demo(proxylite.WithLogger(logger)).IP.SearchStates(context.Background(), "US")
	fmt.Println(err)
	// Output:
	// level=DEBUG msg="proxylite call" operation=IP.SearchStates attempts=1 status=200
	// <nil>
}

// The policy for a job that can wait.
func ExampleWithRetry() {
	failures := 3
	flaky := apitest.RoundTripper(func(*http.Request) (*http.Response, error) {
		status, body := http.StatusOK, `{"code":200,"data":{"list":["Texas"]}}`
		if failures--; failures >= 0 {
			status, body = http.StatusServiceUnavailable, "busy"
		}
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
	})
	client := demo(proxylite.WithTransport(flaky), proxylite.WithRetry(proxylite.RetryPolicy{
		MaxAttempts: 5, MinBackoff: time.Millisecond, MaxBackoff: time.Minute, MaxRetryAfter: time.Minute,
	}))
	states, err := client.IP.SearchStates(context.Background(), "US")
	fmt.Println(states, err)
	// Output: [Texas] <nil>
}

// A limiter of golang.org/x/time/rate will do, too: rate.NewLimiter(5, 1).
func ExampleWithLimiter() {
	client := demo(proxylite.WithLimiter(ticker{time.Tick(time.Millisecond)}))
	_, err := client.IP.SearchStates(context.Background(), "US")
	fmt.Println(err)
	// Output: <nil>
}

type ticker struct{ ticks <-chan time.Time }

func (t ticker) Wait(ctx context.Context) error {
	select {
	case <-t.ticks:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Keep the settings of NewTransport, and change one.
func ExampleWithTransport() {
	transport := proxylite.NewTransport()
	transport.MaxConnsPerHost = 20
	client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef0123456789abcdef"), proxylite.WithTransport(transport))
	fmt.Println(client, err)
	// Output: proxylite.Client(https://api.proxylite.com/end-point) <nil>
}

// The API sends times without a zone.
func ExampleWithTimeZone() {
	for _, zone := range []*time.Location{nil, time.UTC} {
		var opts []proxylite.Option
		if zone != nil {
			opts = append(opts, proxylite.WithTimeZone(zone))
		}
		accounts, err := demo(opts...).Accounts.List(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(accounts[0].CreatedAt.UTC().Format(time.DateTime))
	}
	// Output:
	// 2022-05-13 04:14:15
	// 2022-05-13 12:14:15
}

// A parameter that the SDK has no field for.
func ExampleCallQuery() {
	show := func(next http.RoundTripper) http.RoundTripper {
		return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			fmt.Println(r.URL.RawQuery)
			return next.RoundTrip(r)
		})
	}
	_, err := demo(proxylite.WithMiddleware(show)).IP.SearchStates(context.Background(), "US", proxylite.CallQuery("language", "en"))
	fmt.Println(err)
	// Output:
	// country_code=US&language=en
	// <nil>
}

// An attempt of this call may take longer than those of others, and is not retried.
func ExampleCallTimeout() {
	_, err := demo().Orders.List(context.Background(), proxylite.OrderListParams{},
		proxylite.CallTimeout(2*time.Minute), proxylite.CallAttempts(1))
	fmt.Println(err)
	// Output: <nil>
}

// A source of tokens that expire.
func ExampleTokenFrom() {
	logIn := func(context.Context) (proxylite.Token, error) {
		return proxylite.NewToken("a JWT of yours", time.Now().Add(time.Hour)), nil
	}
	client, err := proxylite.NewClient(proxylite.TokenFrom(logIn))
	fmt.Println(client, err)
	// Output: proxylite.Client(https://api.proxylite.com/end-point) <nil>
}

// An error for a mock of your own.
func ExampleNewErrorLike() {
	err := proxylite.NewErrorLike(proxylite.ErrRateLimited)
	fmt.Println(errors.Is(err, proxylite.ErrRateLimited), err.Outcome)
	// Output: true rejected
}

func ExamplePassword() {
	p := proxylite.NewPassword("s3cretpw")
	fmt.Println(p, p.Reveal())
	// Output: [REDACTED] s3cretpw
}

// A cache may hold passwords; a log may not.
func ExampleMarshalRevealed() {
	a := proxylite.NewAccount{Username: "bob", Password: proxylite.NewPassword("s3cretpw")}
	b, err := proxylite.MarshalRevealed(a)
	fmt.Println(string(b), err)
	// Output: {"Username":"bob","Password":"s3cretpw"} <nil>
}
