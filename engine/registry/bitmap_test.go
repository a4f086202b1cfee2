package registry

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// TestBitmapHandsOutEachOnce drives an allocator against a set.
func TestBitmapHandsOutEachOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 600).Draw(t, "size")
		b, model := newBitmap(size), map[int]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"next": func(t *rapid.T) {
				n, ok := b.next()
				if ok == (len(model) == size) {
					t.Fatalf("next says %v with %d of %d taken", ok, len(model), size)
				}
				if ok && (model[n] || n < 0 || n >= size) {
					t.Fatalf("%d was handed out twice or is outside", n)
				}
				if ok {
					model[n] = true
				}
			},
			"take": func(t *rapid.T) {
				n := rapid.IntRange(0, size-1).Draw(t, "n")
				if b.take(n) == model[n] {
					t.Fatalf("take of %d, taken %v", n, model[n])
				}
				model[n] = true
			},
			"release": func(t *rapid.T) {
				n := rapid.IntRange(0, size-1).Draw(t, "n")
				b.release(n)
				delete(model, n)
			},
		})
	})
}

func TestAddressRanges(t *testing.T) {
	for _, test := range []struct {
		cidr, first, last string
		size              int
	}{
		{"10.96.0.0/16", "10.96.0.1", "10.96.255.254", 65534},
		{"10.0.0.0/29", "10.0.0.1", "10.0.0.6", 6},
		{"fd00::/120", "fd00::1", "fd00::ff", 255},
		{"fd00::/64", "fd00::1", "fd00::10:0", maxAddresses},
	} {
		a, err := newAddresses(test.cidr)
		if err != nil {
			t.Fatal(err)
		}
		if a.bits.size != test.size || a.at(0).String() != test.first || a.at(a.bits.size-1).String() != test.last {
			t.Errorf("%s: %d addresses from %s to %s", test.cidr, a.bits.size, a.at(0), a.at(a.bits.size-1))
		}
		for _, n := range []int{0, a.bits.size / 2, a.bits.size - 1} {
			if got, ok := a.index(a.at(n)); !ok || got != n {
				t.Errorf("%s: index of %s is %d, want %d", test.cidr, a.at(n), got, n)
			}
		}
	}
	a, _ := newAddresses("10.0.0.0/29")
	for _, outside := range []string{"10.0.0.0", "10.0.0.7", "10.0.1.1"} {
		if err := a.take(outside); !errors.Is(err, errOutOfRange) {
			t.Errorf("%s: %v", outside, err)
		}
	}
	if err := a.take("10.0.0.3"); err != nil {
		t.Error(err)
	}
	if err := a.take("10.0.0.3"); !errors.Is(err, errAllocated) {
		t.Errorf("second take: %v", err)
	}
	for _, bad := range []string{"10.0.0.0", "10.0.0.0/31", "nonsense/8"} {
		if _, err := newAddresses(bad); err == nil {
			t.Errorf("range %q was accepted", bad)
		}
	}
}

func TestProxyNames(t *testing.T) {
	for _, test := range []struct{ id, scheme, name, port string }{
		{"pod", "", "pod", ""},
		{"pod:80", "", "pod", "80"},
		{"https:pod:443", "https", "pod", "443"},
		{"http:pod:web", "http", "pod", "web"},
	} {
		scheme, name, port, err := proxyName(test.id)
		if err != nil || scheme != test.scheme || name != test.name || port != test.port {
			t.Errorf("%s: %q %q %q %v", test.id, scheme, name, port, err)
		}
	}
	for _, bad := range []string{"ftp:pod:1", "a:b:c:d"} {
		if _, _, _, err := proxyName(bad); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}
