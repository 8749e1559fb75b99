package reseller

import "github.com/proxylite/proxylite-go"

// Counting says since when a limit counts traffic. The vendor does not document it,
// and we have not tried it. Both readings are offered; find out which one holds before
// you sell traffic by the month. To find out, let an account use 1 GB, set its limit
// to 1 GB, and look whether it still works ten minutes later.
type Counting int

// The two readings.
const (
	// CountsAll: a limit is compared with all the traffic that the API reports as
	// used, see Account.Used. An account that has used 3 of 5 GB has 2 GB left, also
	// after the limit is set again.
	CountsAll Counting = iota
	// CountsSinceSet: a limit counts from the moment it is set, so setting it again
	// begins anew.
	CountsSinceSet
)

// LimitFor returns the limit with which an account that has used some traffic may use
// that much more, for example at the beginning of a month. Limits are whole GB: a part
// of a GB is rounded up, so that the customer gets at least the allowance.
func (c Counting) LimitFor(used, allowance proxylite.Traffic) proxylite.Traffic {
	total := allowance
	if c == CountsAll {
		total += used
	}
	return (total + proxylite.GB - 1) / proxylite.GB * proxylite.GB
}
