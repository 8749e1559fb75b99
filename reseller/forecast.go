package reseller

import (
	"math"
	"time"

	"github.com/proxylite/proxylite-go"
)

// Forecast says when an account will have used up its limit.
//
// The method: traffic is added up over at least an hour, and the average of these
// hours is taken, in which an hour counts half as much as one two days later. RunsOut
// is when the rest is used at that average. Early and Late are the same for two
// standard errors more and less, which come from how much the hours differ. There is
// no forecast before six hours are known.
//
// The error covers chance, not habits: a customer who begins something new is not
// foreseen. docs/reseller.md has how often it was right in tests.
type Forecast struct {
	RunsOut time.Time         `json:"runs_out"`
	Early   time.Time         `json:"early"`
	Late    time.Time         `json:"late"`    // zero if it may never run out
	PerDay  proxylite.Traffic `json:"per_day"` // the average
}

const (
	rateHalfLife = 48 * time.Hour
	rateSample   = time.Hour
	rateMinimum  = 6 // samples
)

// rate is a weighted average of traffic per hour, with what is needed for its error.
type rate struct {
	Used    float64 `json:"u,omitempty"` // weighted sum of KB
	Hours   float64 `json:"h,omitempty"` // weighted sum of hours
	Squares float64 `json:"q,omitempty"` // weighted sum of squared hours
	Spread  float64 `json:"s,omitempty"` // weighted sum of squared differences from the average
	Samples int     `json:"n,omitempty"`

	// A sample that is not full yet.
	NowUsed  float64 `json:"nu,omitempty"`
	NowHours float64 `json:"nh,omitempty"`
}

func (r *rate) add(used proxylite.Traffic, d time.Duration) {
	r.NowUsed += float64(used)
	r.NowHours += d.Hours()
	if r.NowHours < rateSample.Hours() {
		return
	}
	u, h := r.NowUsed, r.NowHours
	r.NowUsed, r.NowHours = 0, 0
	decay := math.Exp2(-h / rateHalfLife.Hours())
	before := u / h
	if r.Hours > 0 {
		before = r.Used / r.Hours
	}
	r.Used = decay*r.Used + u
	r.Hours = decay*r.Hours + h
	r.Squares = decay*decay*r.Squares + h*h
	r.Spread = decay*r.Spread + h*(u/h-before)*(u/h-r.Used/r.Hours)
	r.Samples++
}

// forecast returns when rest is used up, counted from now.
func (r *rate) forecast(now time.Time, rest proxylite.Traffic) *Forecast {
	if r.Samples < rateMinimum || r.Used <= 0 {
		return nil
	}
	average := r.Used / r.Hours
	share := r.Squares / (r.Hours * r.Hours) // 1 over the number of samples that count
	deviation := 2 * math.Sqrt(r.Spread/r.Hours*share/(1-share))
	at := func(perHour float64) time.Time {
		hours := float64(max(rest, 0)) / perHour
		if perHour <= 0 || hours > 100*365*24 {
			return time.Time{}
		}
		return now.Add(time.Duration(hours * float64(time.Hour)))
	}
	f := &Forecast{RunsOut: at(average), Early: at(average + deviation), Late: at(average - deviation), PerDay: proxylite.Traffic(24 * average)}
	if f.RunsOut.IsZero() {
		return nil
	}
	return f
}
