package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// unit is how a figure is written, and which direction is good.
type unit struct {
	format string
	more   bool
}

var (
	milliseconds = unit{"%.4g ms", false}
	seconds      = unit{"%.2f s", false}
	megabytes    = unit{"%.0f MB", false}
	percent      = unit{"%.2f %%", false}
	perSecond    = unit{"%.0f /s", true}
)

// goal is what upstream does and what we want; zero means that there is none.
type goal struct{ upstream, must, aim float64 }

// times are goals given as multiples of upstream's rate.
func times(upstream, must, aim float64) goal {
	return goal{upstream, must * upstream, aim * upstream}
}

// table prints rows as they come, in fixed columns.
type table struct{ w io.Writer }

func newTable(w io.Writer) *table { return &table{w} }

const rowFormat = "%-46s %12s  %-7s %10s %10s %10s\n"

func (t *table) head() {
	fmt.Fprintf(t.w, rowFormat, "WORK", "MEASURED", "MEETS", "MUST", "AIM", "UPSTREAM")
}

func (t *table) row(work string, got float64, u unit, g goal) {
	show := func(v float64) string {
		if v == 0 {
			return "-"
		}
		return fmt.Sprintf(u.format, v)
	}
	fmt.Fprintf(t.w, rowFormat, work, fmt.Sprintf(u.format, got), g.met(got, u), show(g.must), show(g.aim), show(g.upstream))
}

func (t *table) foot(took time.Duration) {
	fmt.Fprintf(t.w, "%.0f s in all. Upstream's figures come from a quiet machine of 2 cores: compare ratios, not runs.\n", took.Seconds())
}

// met says which goal a figure reaches.
func (g goal) met(got float64, u unit) string {
	reaches := func(want float64) bool { return u.more == (got >= want) || got == want }
	switch {
	case g.must == 0:
		return ""
	case g.aim != 0 && reaches(g.aim):
		return "aim"
	case reaches(g.must):
		return "must"
	default:
		return "below"
	}
}

// quantile returns the value below which the share q of the durations lies. It
// sorts them.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(q*float64(len(all))))]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
