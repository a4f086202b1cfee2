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

// goal is what upstream does on a quiet machine and what we want; zero means that
// there is none. In a relative goal must and aim are multiples of what upstream does
// in the same run, or else of the quiet figure.
type goal struct {
	upstream, must, aim float64
	relative            bool
}

// times are goals given as multiples of upstream's figure.
func times(upstream, must, aim float64) goal { return goal{upstream, must, aim, true} }

// against returns the goal in the figure's unit, where upstream was measured or,
// with zero, was not.
func (g goal) against(measured float64) goal {
	if measured != 0 {
		g.upstream = measured
	}
	if g.relative {
		g.must, g.aim, g.relative = g.must*g.upstream, g.aim*g.upstream, false
	}
	return g
}

// figure is one measured row. perOp is the CPU time that the server's processes
// took for one call, clientOp that of the client; zero where that says nothing.
type figure struct {
	work            string
	unit            unit
	goal            goal
	value           float64
	perOp, clientOp time.Duration
}

// report collects what one system did in one part.
type report struct {
	turns   *turns
	figures []figure
}

func (r *report) add(work string, value float64, u unit, g goal) {
	r.addCost(work, value, u, g, 0)
}

func (r *report) addCost(work string, value float64, u unit, g goal, perOp time.Duration) {
	r.addSpent(work, value, u, g, spent{server: perOp}, 1)
}

// addSpent adds a figure of n calls.
func (r *report) addSpent(work string, value float64, u unit, g goal, sum spent, n int) {
	r.figures = append(r.figures, figure{work, u, g, value, sum.server / time.Duration(n), sum.client / time.Duration(n)})
}

func (r *report) find(work string) figure {
	i := slices.IndexFunc(r.figures, func(f figure) bool { return f.work == work })
	if i < 0 {
		return figure{}
	}
	return r.figures[i]
}

// table prints rows as they come, in fixed columns.
type table struct{ w io.Writer }

const rowFormat = "%-48s %11s %9s %9s  %11s %9s %9s  %6s %6s  %-6s %11s %11s\n"

func (t *table) head() {
	fmt.Fprintf(t.w, rowFormat, "WORK", "PINTLE", "CPU/OP", "CLIENT", "UPSTREAM", "CPU/OP", "CLIENT", "RATIO", "CPU", "MEETS", "MUST", "AIM")
}

// rows prints our figures beside upstream's, which may be missing.
func (t *table) rows(ours, theirs *report) {
	for _, f := range ours.figures {
		other := theirs.find(f.work)
		g := f.goal.against(other.value)
		known := show(f.unit, g.upstream)
		if other.value == 0 && g.upstream != 0 {
			known = "~" + known
		}
		fmt.Fprintf(t.w, rowFormat, f.work, show(f.unit, f.value), cost(f.perOp), cost(f.clientOp), known, cost(other.perOp), cost(other.clientOp),
			ratio(f.unit, f.value, g.upstream), ratio(milliseconds, float64(f.perOp), float64(other.perOp)),
			g.met(f.value, f.unit), show(f.unit, g.must), show(f.unit, g.aim))
	}
}

func (t *table) foot(took time.Duration) {
	fmt.Fprintf(t.w, "%.0f s in all. CPU/OP is the servers' processor time for one call, CLIENT the client's; RATIO and CPU say how many times better we are.\n", took.Seconds())
	fmt.Fprintln(t.w, "~ marks upstream's figure from a quiet machine of 2 cores: compare ratios of one run (--upstream), not runs.")
}

func show(u unit, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(u.format, v)
}

func cost(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%d us", d.Microseconds())
}

// ratio is how many times better ours is.
func ratio(u unit, ours, theirs float64) string {
	if ours == 0 || theirs == 0 {
		return ""
	}
	if u.more {
		return fmt.Sprintf("%.2f", ours/theirs)
	}
	return fmt.Sprintf("%.2f", theirs/ours)
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
