package decision

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// Explain renders the records about one object, newest first, as the answer to
// `pintle why KIND/NAME`: the last verdict and what led to it, then what came
// before, in lines for a person.
func Explain(o Object, records []Record, now time.Time) string {
	var b strings.Builder
	if len(records) == 0 {
		fmt.Fprintf(&b, "No decision about %s is on record. It may be older than the log, or nothing has had to be decided.\n", o)
		return b.String()
	}
	last := &records[0]
	fmt.Fprintf(&b, "%s: %s (%s ago)\n", o, last.summary(), age(last, now))
	if last.Message != "" {
		fmt.Fprintf(&b, "  %s\n", last.Message)
	}
	if last.Candidates > 0 {
		fmt.Fprintf(&b, "  %d node(s) considered", last.Candidates)
		if n := refused(last); n > 0 && last.Verdict == Scheduled {
			fmt.Fprintf(&b, ", %d refused", n)
		}
		b.WriteString("\n")
	}
	for _, r := range last.Reasons {
		fmt.Fprintf(&b, "  %5d  %s\n", r.Count, r.Message)
	}
	fmt.Fprintf(&b, "  decided by %s", decider(last.Decider))
	if last.Fuel > 0 {
		fmt.Fprintf(&b, ", %d fuel", last.Fuel)
	}
	if last.Duration > 0 {
		fmt.Fprintf(&b, ", in %v", last.Duration.Round(time.Microsecond))
	}
	if last.Repeats > 0 {
		fmt.Fprintf(&b, ", the same %d time(s) before", last.Repeats)
	}
	b.WriteString("\n")
	if len(records) > 1 {
		b.WriteString("Before that:\n")
	}
	for i := range records[1:] {
		r := &records[i+1]
		fmt.Fprintf(&b, "  %s ago: %s, by %s", age(r, now), r.summary(), decider(r.Decider))
		if r.Message != "" {
			fmt.Fprintf(&b, ": %s", r.Message)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func age(r *Record, now time.Time) string { return duration.HumanDuration(now.Sub(r.Time.Time)) }

func refused(r *Record) int {
	n := 0
	for _, reason := range r.Reasons {
		n += reason.Count
	}
	return n
}

func decider(id string) string {
	if name, digest, ok := strings.Cut(id, "@sha256:"); ok {
		return "strategy " + name + "@sha256:" + digest[:min(len(digest), 12)]
	}
	if id == "native" {
		return "the native strategy"
	}
	return id
}
