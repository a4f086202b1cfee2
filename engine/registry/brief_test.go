package registry

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// An object of a hundred thousand errors took a minute and a gigabyte to be refused.
func TestBrief(t *testing.T) {
	few := field.ErrorList{field.Required(field.NewPath("a"), ""), field.Invalid(field.NewPath("b"), "short", "")}
	if got := brief(few); len(got) != 2 || got[1].BadValue != "short" {
		t.Errorf("few errors became %v", got)
	}
	var all field.ErrorList
	for range 100_000 {
		all = append(all, field.Invalid(field.NewPath("a"), strings.Repeat("x", 2*longestValue), ""))
	}
	got := brief(all)
	if len(got) != mostErrors+1 || !strings.Contains(got[mostErrors].Error(), "99800 further errors") {
		t.Errorf("%d errors, the last is %v", len(got), got[len(got)-1])
	}
	if text := got[0].BadValue.(string); len(text) > longestValue+20 || !strings.HasSuffix(text, "(2048 bytes)") {
		t.Errorf("a long value became %d bytes: ...%s", len(text), text[len(text)-20:])
	}
}
