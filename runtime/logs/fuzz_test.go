package logs

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A log that somebody else wrote is read to its end, in parts or as a whole.
func FuzzRead(f *testing.F) {
	f.Add([]byte("2026-11-23T10:00:00.000000001Z stdout F hello\n2026-11-23T10:00:01Z stderr P half\n"), int64(1), int64(10))
	f.Add([]byte("2026-11-23T10:00:00Z stdout F \n\n\nnoise"), int64(-1), int64(0))
	f.Add([]byte("  \n"), int64(0), int64(1))
	f.Add(bytes.Repeat([]byte("x"), 40_000), int64(3), int64(0))
	f.Fuzz(func(t *testing.T, content []byte, tail, limit int64) {
		if entry, err := ParseEntry(content); err == nil && len(entry.Text) > len(content) {
			t.Errorf("an entry of %d bytes has %d of text", len(content), len(entry.Text))
		}
		path := filepath.Join(t.TempDir(), "0.log")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		_ = Read(context.Background(), path, Options{Tail: tail, LimitBytes: max(limit, 0)}, nil, &out)
		if limit > 0 && int64(out.Len()) > limit {
			t.Errorf("%d bytes, the limit is %d", out.Len(), limit)
		}
		_ = Read(context.Background(), path, Options{Tail: -1, Timestamps: true, Stream: "stderr"}, nil, io.Discard)
		if last, err := Last(path, 5, 100); err == nil && len(last) > 100 {
			t.Errorf("the end has %d bytes, want at most 100", len(last))
		}
	})
}
