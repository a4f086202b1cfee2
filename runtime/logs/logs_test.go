package logs

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, path, stdout, stderr string) {
	t.Helper()
	w, err := NewWriter(path, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w.now = func() time.Time { at = at.Add(time.Second); return at }
	for stream, text := range map[string]string{Stdout: stdout} {
		if err := w.Copy(stream, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Copy(Stderr, strings.NewReader(stderr)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c", "0.log")
	long := strings.Repeat("x", maxLine+10)
	write(t, path, "a\nb\n"+long+"\n", "err, no line end")
	for name, tc := range map[string]struct {
		opts Options
		want string
	}{
		"all":        {Options{Tail: -1}, "a\nb\n" + long + "\nerr, no line end"},
		"tail 1":     {Options{Tail: 1}, "err, no line end"},
		"tail 0":     {Options{Tail: 0}, ""},
		"tail many":  {Options{Tail: 100, Stream: Stderr}, "err, no line end"},
		"timestamps": {Options{Tail: 1, Timestamps: true}, "2026-01-02T03:04:10.000000000Z err, no line end"},
		"limit":      {Options{Tail: -1, LimitBytes: 3}, "a\nb"},
		"since":      {Options{Tail: -1, Since: time.Date(2026, 1, 2, 3, 4, 10, 0, time.UTC)}, "err, no line end"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := Read(t.Context(), path, tc.opts, nil, &out); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, out.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if got, err := Last(path, 80, 5); err != nil || got != "e end" {
		t.Errorf("Last = %q, %v", got, err)
	}
}

func TestPartsAreTagged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	write(t, path, strings.Repeat("x", maxLine+1)+"\n", "")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], " stdout P x") || !strings.HasSuffix(lines[1], " stdout F x") {
		t.Errorf("%d lines, tags wrong: %.60q ... %.60q", len(lines), lines[0], lines[len(lines)-1])
	}
}

// A follower sees every line once, over rotations, and ends when the container
// has ended.
func TestFollowOverRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	w, err := NewWriter(path, Limits{MaxSize: 200, MaxFiles: 100})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	pr, pw := io.Pipe()
	errc := make(chan error, 1)
	go func() {
		errc <- Read(context.Background(), path, Options{Follow: true, Tail: -1}, done, pw)
		pw.Close()
	}()
	got := make([]byte, 2)
	// One line at a time, so that no more than one rotation is ever pending.
	for i := range 40 {
		want := string(rune('a'+i%26)) + "\n"
		if err := w.Copy(Stdout, strings.NewReader(want)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(pr, got); err != nil || string(got) != want {
			t.Fatalf("line %d: got %q, %v; want %q", i, got, err, want)
		}
	}
	if files, _ := Rotated(path); len(files) == 0 {
		t.Error("the log was never rotated")
	}
	close(done)
	if rest, err := io.ReadAll(pr); len(rest) != 0 || err != nil {
		t.Errorf("after the end: %q, %v", rest, err)
	}
	if err := <-errc; err != nil {
		t.Error(err)
	}
}

func TestRotationKeepsMaxFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	w, err := NewWriter(path, Limits{MaxSize: 100, MaxFiles: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Copy(Stdout, strings.NewReader(strings.Repeat("some text\n", 100))); err != nil {
		t.Fatal(err)
	}
	if files, _ := Rotated(path); len(files) != 2 {
		t.Errorf("%d rotated files, want 2", len(files))
	}
}
