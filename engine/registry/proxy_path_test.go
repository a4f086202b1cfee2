package registry

import "testing"

// A request for .../proxy without a slash must reach the proxy without a path:
// only then does it redirect (conformance: "A set of valid responses ... Proxy").
func TestRootedKeepsAbsence(t *testing.T) {
	for path, want := range map[string]string{"": "", "/": "/", "a/b": "/a/b", "/a/": "/a/"} {
		if got := rooted(path); got != want {
			t.Errorf("rooted(%q) = %q, want %q", path, got, want)
		}
	}
}
