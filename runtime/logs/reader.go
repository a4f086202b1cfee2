package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Options choose what Read gives.
type Options struct {
	Follow     bool
	Timestamps bool
	// Since leaves out older lines; zero takes all.
	Since time.Time
	// Tail is the number of lines from the end; negative takes all.
	Tail int64
	// LimitBytes bounds the output; 0 does not.
	LimitBytes int64
	// Stream is Stdout or Stderr; empty gives both.
	Stream string
}

// errLimit ends a read at LimitBytes.
var errLimit = errors.New("limit reached")

// Read writes the log at path to out. With Follow it goes on until ctx ends or,
// after done is closed (the container has exited), the end of the file.
func Read(ctx context.Context, path string, opts Options, done <-chan struct{}, out io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	r := &reader{opts: opts, out: out, path: path}
	defer func() { r.file.Close() }()
	r.file = f
	if opts.Tail >= 0 {
		off, err := tailOffset(f, opts.Tail)
		if err != nil {
			return err
		}
		if _, err := f.Seek(off, io.SeekStart); err != nil {
			return err
		}
	}
	r.br = bufio.NewReaderSize(f, maxLine+128)
	if !opts.Follow {
		err = r.drain()
	} else {
		err = r.follow(ctx, done)
	}
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

type reader struct {
	opts    Options
	out     io.Writer
	path    string
	file    *os.File
	br      *bufio.Reader
	part    []byte // beginning of a line whose end is not written yet
	written int64
	midLine bool // the last entry written was a part
}

// drain writes all complete entries up to the end of the file.
func (r *reader) drain() error {
	for {
		line, err := r.br.ReadSlice('\n')
		if err != nil {
			r.part = append(r.part, line...)
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if len(r.part) > 0 {
			line = append(r.part, line...)
			r.part = r.part[:0]
		}
		if err := r.entry(line); err != nil {
			return err
		}
	}
}

func (r *reader) entry(line []byte) error {
	e, err := ParseEntry(line)
	if err != nil {
		return err
	}
	if (r.opts.Stream != "" && e.Stream != r.opts.Stream) || e.Time.Before(r.opts.Since) {
		return nil
	}
	if r.opts.Timestamps && !r.midLine {
		if err := r.write([]byte(e.stamp + " ")); err != nil {
			return err
		}
	}
	r.midLine = e.Partial
	text := e.Text
	if !e.Partial {
		// The line end of the entry itself; Text aliases the line before it.
		text = text[:len(text)+1]
	}
	return r.write(text)
}

func (r *reader) write(b []byte) error {
	limited := false
	if left := r.opts.LimitBytes - r.written; r.opts.LimitBytes > 0 && int64(len(b)) >= left {
		b, limited = b[:left], true
	}
	n, err := r.out.Write(b)
	r.written += int64(n)
	if err != nil {
		return err
	}
	if limited {
		return errLimit
	}
	return nil
}

// follow drains, then waits for more, moving to the new file when the log was
// rotated.
func (r *reader) follow(ctx context.Context, done <-chan struct{}) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Add(filepath.Dir(r.path)); err != nil {
		return err
	}
	for {
		if err := r.drain(); err != nil {
			return err
		}
		if moved, err := r.reopen(); err != nil {
			return err
		} else if moved {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-done:
			return r.drain()
		case err := <-w.Errors:
			return err
		case <-w.Events:
		}
	}
}

// reopen follows a rotation: true if path is now another file.
func (r *reader) reopen() (bool, error) {
	now, err := os.Stat(r.path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	have, err := r.file.Stat()
	if err != nil || os.SameFile(have, now) {
		return false, err
	}
	// Written between our last read and the rename.
	if err := r.drain(); err != nil {
		return false, err
	}
	f, err := os.Open(r.path)
	if err != nil {
		return false, err
	}
	r.file.Close()
	r.file = f
	r.br.Reset(f)
	return true, nil
}

// Entry is one line of a log file.
type Entry struct {
	Time    time.Time
	Stream  string
	Partial bool
	// Text without line end; it aliases the parsed bytes.
	Text  []byte
	stamp string
}

// ParseEntry reads one line of CRI format.
func ParseEntry(line []byte) (Entry, error) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	var e Entry
	stamp, rest, ok1 := bytes.Cut(line, []byte(" "))
	stream, rest, ok2 := bytes.Cut(rest, []byte(" "))
	tag, text, ok3 := bytes.Cut(rest, []byte(" "))
	if !ok1 || !ok2 || !ok3 {
		return e, fmt.Errorf("not a log line: %.60q", line)
	}
	t, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return e, fmt.Errorf("not a log line: %w", err)
	}
	return Entry{Time: t, Stream: string(stream), Partial: bytes.HasPrefix(tag, []byte("P")), Text: text, stamp: string(stamp)}, nil
}

// tailOffset finds where the last n lines begin.
func tailOffset(f *os.File, n int64) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || n == 0 {
		return size, err
	}
	buf := make([]byte, 64<<10)
	// The line end that finishes the file does not begin a line.
	for pos := size; pos > 0; {
		k := min(int64(len(buf)), pos)
		pos -= k
		if _, err := f.ReadAt(buf[:k], pos); err != nil {
			return 0, err
		}
		for i := k - 1; i >= 0; i-- {
			if buf[i] != '\n' || pos+i == size-1 {
				continue
			}
			if n--; n == 0 {
				return pos + i + 1, nil
			}
		}
	}
	return 0, nil
}

// Last returns the text of the last lines of a log, at most maxLines and
// maxBytes, for termination messages.
func Last(path string, maxLines, maxBytes int64) (string, error) {
	var out bytes.Buffer
	if err := Read(context.Background(), path, Options{Tail: maxLines}, nil, &out); err != nil {
		return "", err
	}
	b := out.Bytes()
	if over := int64(len(b)) - maxBytes; over > 0 {
		b = b[over:]
	}
	return string(b), nil
}
