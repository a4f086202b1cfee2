package command

import (
	"slices"
	"testing"
)

func TestFlagsMayFollowTheObject(t *testing.T) {
	for _, c := range [][2][]string{
		{{"pintle", "why", "pod/a", "-n", "demo"}, {"pintle", "why", "-n", "demo", "pod/a"}},
		{{"pintle", "why", "-n", "demo", "pod/a"}, {"pintle", "why", "-n", "demo", "pod/a"}},
		{{"pintle", "why-not", "pod/a", "node/b", "-n", "demo"}, {"pintle", "why-not", "-n", "demo", "pod/a", "node/b"}},
		{{"pintle", "why"}, {"pintle", "why"}},
		{{"pintle", "get", "pods", "why"}, {"pintle", "get", "pods", "why"}},
	} {
		if got := flagsFirst(slices.Clone(c[0])); !slices.Equal(got, c[1]) {
			t.Errorf("%q became %q, want %q", c[0], got, c[1])
		}
	}
}
