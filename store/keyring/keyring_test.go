package keyring

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/storage/value"
)

func open(t *testing.T, path string) *Keyring {
	t.Helper()
	k, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t *testing.T, k *Keyring, key, plain string) []byte {
	t.Helper()
	out, err := k.Transformer(true).TransformToStorage(context.Background(), []byte(plain), value.DefaultContext(key))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte(plain)) {
		t.Fatal("the value can be read in what is stored")
	}
	return out
}

// unseal returns the plain value and whether it is stale.
func unseal(t *testing.T, k *Keyring, key string, stored []byte) (string, bool) {
	t.Helper()
	plain, stale, err := k.Transformer(true).TransformFromStorage(context.Background(), stored, value.DefaultContext(key))
	if err != nil {
		t.Fatal(err)
	}
	return string(plain), stale
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "keys.json")
	k := open(t, path)
	old, first := seal(t, k, "/secrets/a", "hunter2"), k.Primary()
	if plain, stale := unseal(t, k, "/secrets/a", old); plain != "hunter2" || stale {
		t.Fatal(plain, stale)
	}
	if err := k.Rotate(); err != nil {
		t.Fatal(err)
	}
	k = open(t, path) // as after a crash
	if !k.Rewriting() || k.Primary() == first || len(k.IDs()) != 2 {
		t.Fatalf("after rotation: %v", k.IDs())
	}
	if plain, stale := unseal(t, k, "/secrets/a", old); plain != "hunter2" || !stale {
		t.Fatal(plain, stale)
	}
	if err := k.Finish([]string{first}); err != nil || len(k.IDs()) != 2 {
		t.Fatalf("a key in use was dropped: %v, %v", k.IDs(), err)
	}
	if err := k.Finish(nil); err != nil || k.Rewriting() || len(k.IDs()) != 1 {
		t.Fatal(k.IDs(), err)
	}
	_, _, err := k.Transformer(true).TransformFromStorage(context.Background(), old, value.DefaultContext("/secrets/a"))
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), first) {
		t.Errorf("value of a dropped key: %v", err)
	}
}

// A value opens only under the key it was stored under, and only whole.
func TestAuthentication(t *testing.T) {
	k := open(t, filepath.Join(t.TempDir(), "keys.json"))
	stored := seal(t, k, "/secrets/a", "hunter2")
	for name, tc := range map[string]struct {
		key    string
		stored []byte
	}{
		"another object": {"/secrets/b", stored},
		"a flipped bit":  {"/secrets/a", append(bytes.Clone(stored[:len(stored)-1]), stored[len(stored)-1]^1)},
		"cut short":      {"/secrets/a", stored[:len(stored)-4]},
		"no body":        {"/secrets/a", stored[:len(prefix)+9]},
	} {
		_, _, err := k.Transformer(true).TransformFromStorage(context.Background(), tc.stored, value.DefaultContext(tc.key))
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestPlainValues(t *testing.T) {
	k := open(t, filepath.Join(t.TempDir(), "keys.json"))
	if plain, stale := unseal(t, k, "/x", []byte("k8s\x00")); plain != "k8s\x00" || !stale {
		t.Error("plain value of an encrypted resource", plain, stale)
	}
	off := k.Transformer(false)
	stored, err := off.TransformToStorage(context.Background(), []byte("{}"), value.DefaultContext("/x"))
	if err != nil || string(stored) != "{}" {
		t.Error(stored, err)
	}
	_, stale, err := off.TransformFromStorage(context.Background(), seal(t, k, "/x", "hunter2"), value.DefaultContext("/x"))
	if err != nil || !stale {
		t.Error("encrypted value of a plain resource", stale, err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	k := open(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	if err := k.Select([]string{"/secrets/"}); err != nil || !k.Rewriting() {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"cut short":   raw[:len(raw)/2],
		"empty":       {},
		"another key": bytes.Replace(raw, []byte(`"secret": "`), []byte(`"secret": "AAAA`), 1),
		"version":     bytes.Replace(raw, []byte(`"version": 1`), []byte(`"version": 9`), 1),
	} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
