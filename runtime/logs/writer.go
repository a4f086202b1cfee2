// Package logs owns the files that hold what containers print: writing them in
// the CRI format (time, stream, P or F for part or full line, text), rotating
// them, and reading them back for `logs`. It knows nothing of pods.
//
// A Writer may be used by the stdout and the stderr copier at once; readers need
// no coordination with it.
package logs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// The streams of a container.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// maxLine is how much text one log line holds; longer lines are split into
// parts tagged P.
const maxLine = 16 << 10

const stampFormat = "2006-01-02T15:04:05.000000000Z07:00"

// Limits bound the disk that one container's log takes.
type Limits struct {
	// MaxSize of one file in bytes; 0 never rotates.
	MaxSize int64
	// MaxFiles counts the current file too.
	MaxFiles int
}

// DefaultLimits are upstream's.
var DefaultLimits = Limits{MaxSize: 10 << 20, MaxFiles: 5}

// Writer appends to one log file.
type Writer struct {
	path   string
	limits Limits
	now    func() time.Time

	mu struct {
		sync.Mutex
		file *os.File
		size int64
		buf  []byte
	}
}

// NewWriter opens path for appending, making its folder. The caller closes it.
func NewWriter(path string, limits Limits) (*Writer, error) {
	w := &Writer{path: path, limits: limits, now: time.Now}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return w, w.open()
}

func (w *Writer) open() error {
	f, err := os.OpenFile(w.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.mu.file, w.mu.size = f, info.Size()
	return nil
}

// Close closes the file.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.file.Close()
}

// Copy reads a stream to its end, writing each line as it comes.
func (w *Writer) Copy(stream string, r io.Reader) error {
	br := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := br.ReadSlice('\n')
		full := err == nil
		if full {
			line = line[:len(line)-1]
		}
		// A line that does not fit, or whose end has not come before the stream
		// ended, is a part.
		if len(line) > 0 || full {
			if werr := w.writeLine(stream, full, line); werr != nil {
				return werr
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
				return nil
			}
			return err
		}
	}
}

func (w *Writer) writeLine(stream string, full bool, text []byte) error {
	tag := " P "
	if full {
		tag = " F "
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.rotate(); err != nil {
		return err
	}
	b := w.now().AppendFormat(w.mu.buf[:0], stampFormat)
	b = append(b, ' ')
	b = append(b, stream...)
	b = append(b, tag...)
	b = append(b, text...)
	b = append(b, '\n')
	w.mu.buf = b
	n, err := w.mu.file.Write(b)
	w.mu.size += int64(n)
	return err
}

// rotate starts a new file when the current one is full. Called with mu held.
func (w *Writer) rotate() error {
	if w.limits.MaxSize == 0 || w.mu.size < w.limits.MaxSize {
		return nil
	}
	if err := w.mu.file.Close(); err != nil {
		return err
	}
	old := fmt.Sprintf("%s.%s", w.path, w.now().UTC().Format("20060102-150405.000000"))
	if err := os.Rename(w.path, old); err != nil {
		return err
	}
	files, err := Rotated(w.path)
	if err != nil {
		return err
	}
	for len(files) > w.limits.MaxFiles-1 {
		if err := os.Remove(files[0]); err != nil {
			return err
		}
		files = files[1:]
	}
	return w.open()
}

// Rotated lists the older files of a log, oldest first.
func Rotated(path string) ([]string, error) {
	files, err := filepath.Glob(path + ".*")
	slices.Sort(files)
	return files, err
}
