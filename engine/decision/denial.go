package decision

import (
	"fmt"
	"strings"
	"time"
)

// ExplainDenials renders refusals, newest first, for `pintle why denied`: when, who,
// what, and by which rule.
func ExplainDenials(records []Record, now time.Time) string {
	if len(records) == 0 {
		return "No refusal is on record.\n"
	}
	var b strings.Builder
	for i := range records {
		r := &records[i]
		fmt.Fprintf(&b, "%s ago: %s", age(r, now), r.denial())
		if r.Object.Namespace != "" {
			b.WriteString(" in " + r.Object.Namespace)
		}
		if r.Repeats > 0 {
			fmt.Fprintf(&b, " (%d times)", r.Repeats+1)
		}
		fmt.Fprintf(&b, "\n  %s: %s\n", r.Decider, r.Message)
	}
	return b.String()
}

func (r *Record) denial() string {
	object := r.Object.Kind
	if r.Object.Name != "" {
		object = r.Object.String()
	}
	if r.Verdict != Denied {
		return object + " " + r.summary()
	}
	return fmt.Sprintf("%s may not %s %s", r.User, r.Verb, object)
}
