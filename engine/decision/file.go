package decision

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// FileSink keeps records as lines of JSON in two files of bounded size: current
// and previous. Decisions are advice to people, so they are not synced; a line
// that a crash cut short is skipped.
type FileSink struct {
	dir   string
	limit int64 // bytes of one file
}

// NewFileSink keeps records in dir, which is created, in files of limit bytes.
func NewFileSink(dir string, limit int64) (*FileSink, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create decision log: %w", err)
	}
	return &FileSink{dir: dir, limit: limit}, nil
}

func (f *FileSink) current() string  { return filepath.Join(f.dir, "decisions.jsonl") }
func (f *FileSink) previous() string { return filepath.Join(f.dir, "decisions.1.jsonl") }

// Append implements Sink.
func (f *FileSink) Append(_ context.Context, records []Record) (err error) {
	if info, err := os.Stat(f.current()); err == nil && info.Size() > f.limit {
		if err := os.Rename(f.current(), f.previous()); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(f.current(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := bufio.NewWriter(file)
	enc := json.NewEncoder(w)
	for i := range records {
		if err := enc.Encode(&records[i]); err != nil {
			return err
		}
	}
	return w.Flush()
}

// Load implements Sink.
func (f *FileSink) Load(_ context.Context, limit int) ([]Record, error) {
	var out []Record
	for _, name := range []string{f.previous(), f.current()} {
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(b) {
			var r Record
			if json.Unmarshal(line, &r) == nil {
				out = append(out, r)
			}
		}
	}
	return out[max(0, len(out)-limit):], nil
}
