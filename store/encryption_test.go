package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/pintle-io/pintle/store/keyring"
)

func TestEncryption(t *testing.T) {
	p := newPlace(t)
	s := p.open(t)
	secrets, pods := resourceOf(t, s, "secrets"), resourceOf(t, s, "pods")
	created := addPod(t, secrets, "a", "hunter2")
	addPod(t, pods, "a", "node-1")
	if raw := rawValue(t, s, "/secrets/ns/a", 0); bytes.Contains(raw, []byte("hunter2")) || keyring.KeyOf(raw) == "" {
		t.Errorf("a secret is stored as %q", raw)
	}
	if raw := rawValue(t, s, "/pods/ns/a", 0); !bytes.Contains(raw, []byte("node-1")) {
		t.Errorf("a pod is stored as %q", raw)
	}
	setNode(t, secrets, "a", "hunter3")
	first, revision := s.Keys().Primary, s.Revision()
	n, err := s.RotateKey(t.Context())
	if err != nil || n != 2 {
		t.Fatalf("%d rewritten, %v", n, err)
	}
	if s.Revision() != revision {
		t.Errorf("rotation took the store from revision %d to %d", revision, s.Revision())
	}
	if k := s.Keys(); k.Primary == first || len(k.IDs) != 1 || k.Rewriting {
		t.Errorf("after rotation: %+v", k)
	}
	old := rawValue(t, s, "/secrets/ns/a", mustRevision(t, created))
	if keyring.KeyOf(old) != s.Keys().Primary {
		t.Errorf("history is encrypted with %s", keyring.KeyOf(old))
	}
	past, err := s.ObjectHistory("/secrets/ns/a")
	if err != nil || len(past) != 2 || past[1].Object.(*example.Pod).Spec.NodeName != "hunter2" || !past[1].Created {
		t.Errorf("history after rotation: %+v, %v", past, err)
	}
	closeStore(t, s)
	if node := nodeOf(t, resourceOf(t, p.open(t), "secrets"), "a"); node != "hunter3" {
		t.Errorf("after restart: %q", node)
	}
}

// A rotation that was interrupted anywhere is finished by the next start; so is a
// changed choice of what is encrypted.
func TestRewriteIsResumed(t *testing.T) {
	p := newPlace(t)
	s := p.open(t)
	secrets, pods := resourceOf(t, s, "secrets"), resourceOf(t, s, "pods")
	for i := range 50 {
		addPod(t, secrets, fmt.Sprint(i), "hunter2")
		addPod(t, pods, fmt.Sprint(i), "node-1")
	}
	first := s.Keys().Primary
	if err := s.changeKey(); err != nil { // and the process ends
		t.Fatal(err)
	}
	closeStore(t, s)
	s = p.open(t, "/secrets/", "/pods/")
	eventually(t, "the rewrite ends", func() bool { return !s.Keys().Rewriting })
	if k := s.Keys(); k.Primary == first || len(k.IDs) != 1 {
		t.Errorf("keys: %+v", k)
	}
	for _, kind := range []string{"secrets", "pods"} {
		for i := range 50 {
			key := fmt.Sprintf("/%s/ns/%d", kind, i)
			if id := keyring.KeyOf(rawValue(t, s, key, 0)); id != s.Keys().Primary {
				t.Fatalf("%s is encrypted with %q", key, id)
			}
		}
	}
	if node := nodeOf(t, resourceOf(t, s, "pods"), "7"); node != "node-1" {
		t.Errorf("after the rewrite: %q", node)
	}
}

// Writers that encrypt while the key is changed lose nothing.
func TestRotationUnderWrites(t *testing.T) {
	p := newPlace(t)
	s := p.open(t)
	secrets := resourceOf(t, s, "secrets")
	addPod(t, secrets, "a", "0")
	var stop atomic.Bool
	done := make(chan int)
	go func() {
		n := 0
		for !stop.Load() {
			n++
			setNode(t, secrets, "a", fmt.Sprint(n))
		}
		done <- n
	}()
	for range 5 {
		if _, err := s.RotateKey(t.Context()); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	n := <-done
	closeStore(t, s)
	s = p.open(t)
	if node := nodeOf(t, resourceOf(t, s, "secrets"), "a"); node != fmt.Sprint(n) {
		t.Errorf("last write %d, read %s", n, node)
	}
	past, err := s.ObjectHistory("/secrets/ns/a")
	if err != nil || len(past) != n+1 {
		t.Fatalf("%d versions of %d, %v", len(past), n+1, err)
	}
	for _, v := range past {
		if v.Err != nil {
			t.Fatalf("revision %d: %v", v.Revision, v.Err)
		}
	}
}

func TestMissingAndWrongKeys(t *testing.T) {
	p := newPlace(t)
	s := p.open(t)
	addPod(t, resourceOf(t, s, "secrets"), "a", "hunter2")
	closeStore(t, s)
	saved := mustRead(t, p.keys())
	refused := func(why string) {
		t.Helper()
		s, err := p.tryOpen()
		if err == nil {
			closeStore(t, s)
			t.Fatalf("%s: opened", why)
		}
		if !strings.Contains(err.Error(), p.keys()) || !strings.Contains(err.Error(), "put back") {
			t.Errorf("%s: %v", why, err)
		}
	}
	if err := os.Remove(p.keys()); err != nil {
		t.Fatal(err)
	}
	refused("missing")
	if _, err := keyring.Open(p.keys()); err != nil {
		t.Fatal(err)
	}
	refused("of another store")
	if err := os.WriteFile(p.keys(), saved, 0o600); err != nil {
		t.Fatal(err)
	}
	if node := nodeOf(t, resourceOf(t, p.open(t), "secrets"), "a"); node != "hunter2" {
		t.Error(node)
	}
}

// A value that is stored under the key of another object does not open.
func TestSwappedValues(t *testing.T) {
	p := newPlace(t)
	s := p.open(t)
	secrets := resourceOf(t, s, "secrets")
	addPod(t, secrets, "mine", "hunter2")
	addPod(t, secrets, "theirs", "sesame")
	stolen := rawValue(t, s, "/secrets/ns/theirs", 0)
	_, err := s.kv.Rewrite(t.Context(), func(key string, _ int64, _ []byte) ([]byte, error) {
		if key == "/secrets/ns/mine" {
			return stolen, nil
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	secrets.forget()
	if err := secrets.Get(t.Context(), "/secrets/ns/mine", storage.GetOptions{}, &example.Pod{}); err == nil {
		t.Error("a swapped value was read")
	}
	report, err := s.Verify(t.Context())
	if err != nil || len(report.Damages) != 1 || report.Damages[0].Key != "/secrets/ns/mine" {
		t.Errorf("verify: %+v, %v", report, err)
	}
}

// Whoever reads stored bytes has the key for them, although they are rewritten and
// their key is dropped at any moment.
func TestReadsWhileKeysRotate(t *testing.T) {
	p := newPlace(t)
	s := p.open(t)
	first := addPod(t, resourceOf(t, s, "secrets"), "a", "hunter2")
	for i := range 200 {
		addPod(t, resourceOf(t, s, "secrets"), fmt.Sprint("more-", i), "x")
	}
	closeStore(t, s)
	s = p.open(t)
	secrets := resourceOf(t, s, "secrets") // it has no index yet: each read is of the disk
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	for _, read := range []func() error{
		func() error {
			return secrets.Get(t.Context(), "/secrets/ns/a", storage.GetOptions{}, &example.Pod{})
		},
		func() error {
			past, err := s.ObjectHistory("/secrets/ns/a")
			if err == nil && past[len(past)-1].Object == nil {
				err = fmt.Errorf("history: %w", past[len(past)-1].Err)
			}
			return err
		},
		func() error {
			entries, _, err := secrets.readAll(int64(mustRevision(t, first)))
			for _, e := range entries {
				err = errors.Join(err, e.err)
			}
			return err
		},
	} {
		work.Go(func() {
			for ctx.Err() == nil {
				if err := read(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 25 {
		if _, err := s.RotateKey(t.Context()); err != nil {
			t.Error(err)
		}
	}
	stop()
	work.Wait()
}
