package app

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEncryptedPrefixes(t *testing.T) {
	for _, tc := range []struct{ names, want []string }{
		{nil, []string{"/secrets/"}},
		{[]string{"secrets", "configmaps", "secrets"}, []string{"/configmaps/", "/secrets/"}},
		{[]string{"widgets.example.com"}, []string{"/example.com/widgets/"}},
		{[]string{"secrets", "all"}, []string{"/"}},
		{[]string{"none"}, nil},
	} {
		if diff := cmp.Diff(tc.want, StoreConfig{Encrypt: tc.names}.prefixes()); diff != "" {
			t.Errorf("%v: %s", tc.names, diff)
		}
	}
}

// What works on a stopped data directory refuses one that is in use, and one where
// there is nothing.
func TestOfflineRefusals(t *testing.T) {
	data := t.TempDir()
	lock, err := acquire(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyStore(context.Background(), data); err == nil || !strings.Contains(err.Error(), "process") {
		t.Errorf("running: %v", err)
	}
	lock.release()
	if _, err := VerifyStore(context.Background(), data); err == nil || !strings.Contains(err.Error(), "no store") {
		t.Errorf("empty: %v", err)
	}
	missing := filepath.Join(data, "nothing")
	if _, err := VerifyStore(context.Background(), missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing: %v", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("it was made")
	}
}
