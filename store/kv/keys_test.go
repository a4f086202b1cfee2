package kv

import (
	"bytes"
	"cmp"
	"strings"
	"testing"
)

// Encoded versions sort by key, then newest first, and decode to what they were
// made of; the bounds of a key enclose its versions and nothing else.
func FuzzVersionKeys(f *testing.F) {
	f.Add("/a", int64(1), "/a/", int64(2))
	f.Add("/a", int64(7), "/a", int64(8))
	f.Add("/a\x01", int64(1), "/a", int64(1))
	f.Add("\xff", int64(1)<<62, "\xff\xff", int64(0))
	f.Fuzz(func(t *testing.T, key1 string, rev1 int64, key2 string, rev2 int64) {
		if checkKey(key1) != nil || checkKey(key2) != nil || rev1 < 0 || rev2 < 0 {
			t.Skip()
		}
		enc1, enc2 := appendVersionKey(nil, key1, rev1), appendVersionKey(nil, key2, rev2)
		want := cmp.Or(strings.Compare(key1, key2), cmp.Compare(rev2, rev1))
		if got := bytes.Compare(enc1, enc2); got != want {
			t.Errorf("order of (%q, %d) and (%q, %d): %d, want %d", key1, rev1, key2, rev2, got, want)
		}
		key, rev, err := parseVersionKey(enc1)
		if err != nil || string(key) != key1 || rev != rev1 {
			t.Errorf("decoded (%q, %d): (%q, %d), %v", key1, rev1, key, rev, err)
		}
		for end, inside := range map[string]bool{key2: key1 < key2, key2 + "\x00": key1 <= key2} {
			if got := bytes.Compare(enc1, appendVersionBound(nil, end)) < 0; got != inside {
				t.Errorf("(%q, %d) before the bound %q: %v", key1, rev1, end, got)
			}
		}
	})
}

// Bytes that were not written by this package are refused, not misread.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendVersion(nil, version{createRev: 5, expiry: 9, value: []byte("v")}))
	f.Add(appendLogRecord(nil, logRecord{key: "/a", prevRev: 3, prevSize: 10}))
	f.Add([]byte{2, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := parseVersion(b); err == nil {
			if again, err := parseVersion(appendVersion(nil, v)); err != nil || !bytes.Equal(again.value, v.value) || again.createRev != v.createRev {
				t.Errorf("version %v became %v, %v", v, again, err)
			}
		}
		if r, err := parseLogRecord(b); err == nil {
			if again, err := parseLogRecord(appendLogRecord(nil, r)); err != nil || again != r {
				t.Errorf("log record %v became %v, %v", r, again, err)
			}
		}
	})
}
