// Command reseller keeps an account for each customer of a shop: it adds those
// that are missing, sets their limits, and disables who has used them up.
//
// With the real API it only watches, unless -write is given.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/examples/internal/start"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func main() {
	s := shop{}
	flag.BoolVar(&s.write, "write", false, "with the real API: add, limit and disable accounts")
	flag.IntVar(&s.customers, "customers", 250, "how many customers the shop has")
	gigabytes := flag.Int64("limit", 5, "traffic that a customer has bought, in `GB`")
	flag.IntVar(&s.rounds, "rounds", 3, "how often to look at the usage")
	flag.DurationVar(&s.every, "every", 5*time.Minute, "time between two looks; the API counts up to 5 minutes late")
	flag.Parse()
	s.limit = proxylite.Traffic(*gigabytes) * proxylite.GB

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := s.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "reseller:", err)
		os.Exit(1)
	}
}

type shop struct {
	api       *start.API
	write     bool
	customers int
	limit     proxylite.Traffic
	rounds    int
	every     time.Duration
}

func (s *shop) run(ctx context.Context) (err error) {
	if s.api, err = start.Open(os.Stdout); err != nil {
		return err
	}
	defer s.api.Close()

	if s.api.Writes(s.write) {
		added, err := s.addMissing(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("added %d accounts of %d\n", len(added), s.customers)
		if err := s.setLimits(ctx, added); err != nil {
			return err
		}
		fmt.Printf("limited each of them to %s\n", s.limit)
	}
	for round := range s.rounds {
		if s.api.Demo != nil {
			s.api.Demo.Update(s.pretendTraffic)
		} else if round > 0 {
			select {
			case <-time.After(s.every):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := s.watch(ctx); err != nil {
			return err
		}
	}
	return nil
}

// batch is how many accounts go into one call. The API documents no bound; this
// is our choice.
const batch = 100

// addMissing adds the accounts that do not exist yet and returns their names. It
// lists first, so running it again after any failure adds none twice.
func (s *shop) addMissing(ctx context.Context) ([]string, error) {
	accounts, err := s.api.Accounts.List(ctx)
	if err != nil {
		return nil, err
	}
	exists := make(map[string]bool, len(accounts))
	for _, a := range accounts {
		exists[a.Name()] = true
	}
	var missing []string
	for i := range s.customers {
		if name := fmt.Sprintf("cust%04d", i+1); !exists[name] {
			missing = append(missing, name)
		}
	}
	for names := range slices.Chunk(missing, batch) {
		p := proxylite.AccountAddParams{Remark: "shop", ProductType: proxylite.ProductResidentialTraffic}
		for _, name := range names {
			// A shop keeps the password for its customer; List returns it too.
			p.Accounts = append(p.Accounts, proxylite.NewAccount{Username: name, Password: proxylite.NewPassword(rand.Text()[:12])})
		}
		err := s.api.Accounts.Add(ctx, p)
		if errors.Is(err, proxylite.ErrOutcomeUnknown) {
			return nil, fmt.Errorf("accounts may have been added; run again, it adds those that are missing: %w", err)
		}
		if err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// setLimits takes a call for each account, so eight go at a time. A limit can be
// set again, and the client does so by itself when a call fails for a moment.
func (s *shop) setLimits(ctx context.Context, names []string) error {
	queue := make(chan string)
	errs := make([]error, 8)
	var workers sync.WaitGroup
	for i := range errs {
		workers.Go(func() {
			for name := range queue {
				if errs[i] == nil {
					errs[i] = s.api.Accounts.ChangeLimit(ctx, name, s.limit)
				}
			}
		})
	}
	for _, name := range names {
		queue <- name
	}
	close(queue)
	workers.Wait()
	return errors.Join(errs...)
}

// watch disables the accounts that are over their limit. The API stops them too,
// but counts late; disabling takes another 5 minutes to act.
func (s *shop) watch(ctx context.Context) error {
	accounts, err := s.api.Accounts.List(ctx)
	if err != nil {
		return err
	}
	var used proxylite.Traffic
	var over []string
	for _, a := range accounts {
		used += a.Used
		limit, ok := a.Limit()
		if ok && limit > 0 && a.Used >= limit && a.Status == proxylite.AccountEnabled {
			over = append(over, a.Username)
		}
	}
	fmt.Printf("%d accounts used %s, %d are over their limit\n", len(accounts), used, len(over))
	if len(over) == 0 || !s.api.Writes(s.write) {
		return nil
	}
	for names := range slices.Chunk(over, batch) {
		if err := s.api.Accounts.Disable(ctx, names); err != nil {
			return err
		}
		fmt.Printf("disabled %d: %s, …\n", len(names), strings.Join(names[:min(3, len(names))], ", "))
	}
	return nil
}

// pretendTraffic lets the customers of the server in the process use something.
func (s *shop) pretendTraffic(state *proxylitetest.State) {
	for i, a := range slices.Clone(state.Accounts) {
		if a.Status == proxylite.AccountEnabled && strings.HasPrefix(a.Name(), "cust") {
			state.Use(a.Username, time.Now(), s.limit*proxylite.Traffic(i%25)/50)
		}
	}
}
