package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/pintle-io/pintle/store/keyring"
	"github.com/pintle-io/pintle/store/snapshot"
)

// A restored store has the state of the snapshot, hands out revisions above those it
// ever handed out, and tells clients of the lost time to list again.
func TestSnapshotAndRestore(t *testing.T) {
	p := newPlace(t)
	s := p.open(t)
	pods := resourceOf(t, s, "pods")
	addPod(t, pods, "a", "before")
	addPod(t, resourceOf(t, s, "secrets"), "s", "hunter2")
	saved, err := s.Snapshot(p.snapshots(), "first", false)
	if err != nil || saved.Revision != s.Revision() || len(saved.Keys) != 1 {
		t.Fatalf("%+v, %v", saved, err)
	}
	if _, err := s.Snapshot(p.snapshots(), "first", false); !errors.Is(err, os.ErrExist) {
		t.Errorf("taken twice: %v", err)
	}
	setNode(t, pods, "a", "after")
	addPod(t, pods, "b", "after")
	lost := s.Revision()
	closeStore(t, s)
	all, err := snapshot.List(p.snapshots())
	if err != nil || len(all) != 1 || all[0].Name != "first" {
		t.Fatal(all, err)
	}
	if err := Restore(all[0], p.store()); err != nil {
		t.Fatal(err)
	}
	s = p.open(t)
	pods = resourceOf(t, s, "pods")
	if a, b := nodeOf(t, pods, "a"), nodeOf(t, pods, "b"); a != "before" || b != "" {
		t.Errorf("restored: a on %q, b on %q", a, b)
	}
	if node := nodeOf(t, resourceOf(t, s, "secrets"), "s"); node != "hunter2" {
		t.Errorf("secret: %q", node)
	}
	if rev := mustRevision(t, addPod(t, pods, "c", "new")); rev <= lost {
		t.Errorf("revision %d was handed out before, up to %d", rev, lost)
	}
	list := &example.PodList{}
	exact := storage.ListOptions{ResourceVersion: fmt.Sprint(lost), ResourceVersionMatch: metav1.ResourceVersionMatchExact, Predicate: storage.Everything, Recursive: true}
	if err := pods.GetList(t.Context(), "/pods/", exact, list); err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("list at a lost revision: %v", err)
	}
	exact.ResourceVersion = fmt.Sprint(saved.Revision)
	if err := pods.GetList(t.Context(), "/pods/", exact, list); err != nil || len(list.Items) != 1 {
		t.Errorf("list at the revision of the snapshot: %d, %v", len(list.Items), err)
	}
	if report, err := s.Verify(t.Context()); err != nil || len(report.Damages) > 0 {
		t.Errorf("verify: %+v, %v", report, err)
	}
	if err := snapshot.Delete(p.snapshots(), "first"); err != nil {
		t.Error(err)
	}
}

// A restoration that is interrupted between its two renames is finished by the next
// start.
func TestInterruptedRestore(t *testing.T) {
	for _, first := range []bool{false, true} {
		p := newPlace(t)
		s := p.open(t)
		addPod(t, resourceOf(t, s, "pods"), "a", "before")
		saved, err := s.Snapshot(p.snapshots(), "s", false)
		if err != nil {
			t.Fatal(err)
		}
		setNode(t, resourceOf(t, s, "pods"), "a", "after")
		closeStore(t, s)
		// As Replace leaves it when the process ends before, or within, Complete.
		if err := snapshot.Clone(saved.StoreDir(), p.store()+".next"); err != nil {
			t.Fatal(err)
		}
		if first {
			if err := os.Rename(p.store(), snapshot.Previous(p.store())); err != nil {
				t.Fatal(err)
			}
		}
		if node := nodeOf(t, resourceOf(t, p.open(t), "pods"), "a"); node != "before" {
			t.Errorf("after the first rename %v: %q", first, node)
		}
		if _, err := os.Stat(snapshot.Previous(p.store())); err != nil {
			t.Error(err)
		}
	}
}

func TestExportAndImport(t *testing.T) {
	p := newPlace(t)
	s := p.open(t)
	addPod(t, resourceOf(t, s, "pods"), "a", "node-1")
	addPod(t, resourceOf(t, s, "secrets"), "s", "hunter2")
	for _, tc := range []struct {
		name    string
		opts    ExportOptions
		keys    bool // copied by hand
		visible bool
		refused string
	}{
		{name: "encrypted, keys copied", keys: true},
		{name: "encrypted, keys missing", refused: "is not in"},
		{name: "keys included", opts: ExportOptions{IncludeKeys: true}},
		{name: "decrypted", opts: ExportOptions{Decrypt: true}, visible: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var file bytes.Buffer
			sent, err := s.Export(t.Context(), &file, tc.opts)
			if err != nil || sent.Entries != 2 {
				t.Fatal(sent, err)
			}
			if bytes.Contains(file.Bytes(), []byte("hunter2")) != tc.visible {
				t.Error("the secret is readable in the export, or should be")
			}
			to := newPlace(t)
			if tc.keys {
				if err := os.WriteFile(to.keys(), mustRead(t, p.keys()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := ImportDir(t.Context(), to.store(), to.keys(), &file)
			if tc.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tc.refused) {
					t.Fatalf("not refused: %v", err)
				}
				if _, err := os.Stat(to.keys()); err == nil {
					t.Error("a key file was made for nothing")
				}
				return
			}
			if err != nil || got.Entries != 2 || got.Bytes != sent.Bytes {
				t.Fatal(got, err)
			}
			other := to.open(t)
			eventually(t, "values are in form", func() bool { return !other.Keys().Rewriting })
			if node := nodeOf(t, resourceOf(t, other, "secrets"), "s"); node != "hunter2" {
				t.Error(node)
			}
			if keyring.KeyOf(rawValue(t, other, "/secrets/ns/s", 0)) == "" {
				t.Error("the secret is stored plainly")
			}
			if other.Revision() <= s.Revision() {
				t.Errorf("revision %d of the copy, %d of the original", other.Revision(), s.Revision())
			}
			if report, err := other.Verify(t.Context()); err != nil || len(report.Damages) > 0 {
				t.Errorf("verify: %+v, %v", report, err)
			}
		})
	}
}

// An export that is cut short or changed anywhere makes no store.
func TestDamagedExport(t *testing.T) {
	p := newPlace(t)
	s := p.open(t)
	pods := resourceOf(t, s, "pods")
	for i := range 20 {
		addPod(t, pods, fmt.Sprint(i), "node")
	}
	var file bytes.Buffer
	if _, err := s.Export(t.Context(), &file, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	raw, keys := file.Bytes(), mustRead(t, p.keys())
	try := func(damaged io.Reader) {
		t.Helper()
		to := newPlace(t)
		if err := os.WriteFile(to.keys(), keys, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ImportDir(t.Context(), to.store(), to.keys(), damaged); err == nil {
			t.Fatal("accepted")
		}
		if _, err := os.Stat(to.store()); !errors.Is(err, os.ErrNotExist) {
			t.Fatal("there is a store")
		}
	}
	for i := 0; i < len(raw); i += len(raw)/20 + 1 {
		flipped := bytes.Clone(raw)
		flipped[i] ^= 0x40
		try(bytes.NewReader(flipped))
	}
	for _, n := range []int{0, 10, 100, len(raw) / 2, len(raw) - 1} {
		try(bytes.NewReader(raw[:n]))
	}
}
