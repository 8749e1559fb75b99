package cli

import (
	"fmt"
	"time"
)

// progress is a bar on a terminal's stderr, for what takes long. Elsewhere it is silent.
type progress struct {
	a     *app
	noun  string
	begun time.Time
	drawn time.Time
	shown bool
}

func (a *app) progress(noun string) *progress {
	return &progress{a: a, noun: noun, begun: time.Now(), shown: isTerminal(a.err)}
}

// set draws the bar, at most ten times a second. A total of 0 is not known.
func (p *progress) set(done, total int) {
	now := time.Now()
	if !p.shown || done != total && now.Sub(p.drawn) < 100*time.Millisecond {
		return
	}
	p.drawn = now
	elapsed := now.Sub(p.begun)
	rate := float64(done) / max(elapsed.Seconds(), 0.001)
	text := fmt.Sprintf("%d %ss, %.0f/s", done, p.noun, rate)
	if total > 0 {
		text = fmt.Sprintf("%s %d/%d %ss, %.0f/s", blocks(float64(done)/float64(total), 20), done, total, p.noun, rate)
		if done > 0 && done < total {
			left := time.Duration(float64(elapsed) / float64(done) * float64(total-done))
			text += ", " + left.Round(time.Second).String() + " left"
		}
	}
	fmt.Fprint(p.a.err, "\r\x1b[K"+text)
}

// end removes the bar.
func (p *progress) end() {
	if p.shown && !p.drawn.IsZero() {
		fmt.Fprint(p.a.err, "\r\x1b[K")
	}
}
