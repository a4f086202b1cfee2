package archive

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"time"

	"github.com/pintle-io/pintle/store/kv"
)

const (
	magic     = "PINTLE EXPORT 1\n"
	magicBase = "PINTLE EXPORT "
	// maxBody bounds what a reader allocates for one frame.
	maxBody = 64 << 20

	frameHeader = 'h'
	frameEntry  = 'e'
	frameEnd    = 'z'
)

// ErrDamaged means that an archive is not what was written.
var ErrDamaged = errors.New("the export is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header describes an archive.
type Header struct {
	Created time.Time `json:"created"`
	// Revision is that of the state in it.
	Revision int64 `json:"revision"`
	// Keys are the ids of the keys that values may be encrypted with; none if they
	// were decrypted.
	Keys []string `json:"keys,omitempty"`
	// KeyFile holds these keys, if they were to be included.
	KeyFile json.RawMessage `json:"keyFile,omitempty"`
}

type end struct {
	Entries int    `json:"entries"`
	SHA256  string `json:"sha256"`
}

// Writer writes an archive. Close must be called for it to be complete.
type Writer struct {
	out     *bufio.Writer
	sum     hash.Hash
	entries int
	scratch []byte
}

// NewWriter begins an archive.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	a := &Writer{sum: sha256.New()}
	a.out = bufio.NewWriterSize(io.MultiWriter(w, a.sum), 1<<20)
	if _, err := a.out.WriteString(magic); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return a, a.frame(frameHeader, raw)
}

func (a *Writer) frame(kind byte, body []byte) error {
	if len(body) > maxBody {
		return fmt.Errorf("an entry of %d bytes is too large", len(body))
	}
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)))
	crc := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, body)
	for _, part := range [][]byte{head, body, binary.BigEndian.AppendUint32(nil, crc)} {
		if _, err := a.out.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// Add writes one entry.
func (a *Writer) Add(e kv.Entry) error {
	b := a.scratch[:0]
	for _, n := range []int64{int64(len(e.Key)), e.Head.CreateRev, e.Head.ModRev, e.Head.Expiry} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = append(append(b, e.Key...), e.Value...)
	a.scratch = b
	a.entries++
	return a.frame(frameEntry, b)
}

// Close writes the end and returns the number of entries and the checksum.
func (a *Writer) Close() (entries int, sha string, err error) {
	if err := a.out.Flush(); err != nil {
		return 0, "", err
	}
	last := end{Entries: a.entries, SHA256: hex.EncodeToString(a.sum.Sum(nil))}
	raw, err := json.Marshal(last)
	if err != nil {
		return 0, "", err
	}
	if err := a.frame(frameEnd, raw); err != nil {
		return 0, "", err
	}
	return last.Entries, last.SHA256, a.out.Flush()
}

// Reader reads an archive.
type Reader struct {
	Header  Header
	in      *bufio.Reader
	sum     hash.Hash
	entries int
	body    []byte
	last    string
}

// NewReader reads the header.
func NewReader(r io.Reader) (*Reader, error) {
	a := &Reader{in: bufio.NewReaderSize(r, 1<<20), sum: sha256.New()}
	line := make([]byte, len(magic))
	if _, err := io.ReadFull(a.in, line); err != nil || !bytes.HasPrefix(line, []byte(magicBase)) {
		return nil, errors.New("this is no export of a Pintle store")
	}
	if string(line) != magic {
		return nil, fmt.Errorf("this export has a format (%q) that this version does not know", bytes.TrimSpace(line))
	}
	a.sum.Write(line)
	kind, err := a.frame()
	if err != nil {
		return nil, err
	}
	if kind != frameHeader {
		return nil, fmt.Errorf("%w: it has no header", ErrDamaged)
	}
	if err := json.Unmarshal(a.body, &a.Header); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrDamaged, err)
	}
	return a, nil
}

// frame reads the next frame into body.
func (a *Reader) frame() (kind byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(a.in, head[:]); err != nil {
		return 0, a.cut(err)
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > maxBody {
		return 0, a.damage("a frame claims %d bytes", size)
	}
	if cap(a.body) < int(size) {
		a.body = make([]byte, size)
	}
	a.body = a.body[:size]
	if _, err := io.ReadFull(a.in, a.body); err != nil {
		return 0, a.cut(err)
	}
	var crc [4]byte
	if _, err := io.ReadFull(a.in, crc[:]); err != nil {
		return 0, a.cut(err)
	}
	if crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, a.body) != binary.BigEndian.Uint32(crc[:]) {
		return 0, a.damage("checksum mismatch")
	}
	if head[0] != frameEnd {
		a.sum.Write(head[:])
		a.sum.Write(a.body)
		a.sum.Write(crc[:])
	}
	return head[0], nil
}

func (a *Reader) cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return a.damage("it ends before its end mark")
	}
	return err
}

func (a *Reader) damage(format string, args ...any) error {
	where := "in the header"
	if a.last != "" {
		where = "after " + a.last
	} else if a.Header.Revision != 0 {
		where = "at the first entry"
	}
	return fmt.Errorf("%w %s (entry %d): %s", ErrDamaged, where, a.entries+1, fmt.Sprintf(format, args...))
}

// Next returns the next entry, which is the caller's; io.EOF after the last one of a
// complete archive.
func (a *Reader) Next() (kv.Entry, error) {
	kind, err := a.frame()
	if err != nil {
		return kv.Entry{}, err
	}
	switch kind {
	case frameEntry:
		e, ok := parseEntry(a.body)
		if !ok {
			return e, a.damage("malformed entry")
		}
		a.entries, a.last = a.entries+1, e.Key
		return e, nil
	case frameEnd:
		var last end
		if err := json.Unmarshal(a.body, &last); err != nil || last.Entries != a.entries || last.SHA256 != a.SHA256() {
			return kv.Entry{}, a.damage("the end mark does not fit what was read")
		}
		return kv.Entry{}, io.EOF
	}
	return kv.Entry{}, a.damage("unknown frame %q", kind)
}

// SHA256 is the checksum of what was read so far, without the end.
func (a *Reader) SHA256() string { return hex.EncodeToString(a.sum.Sum(nil)) }

func parseEntry(b []byte) (e kv.Entry, ok bool) {
	var numbers [4]int64
	for i := range numbers {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return e, false
		}
		numbers[i], b = int64(v), b[n:]
	}
	if numbers[0] <= 0 || numbers[0] > int64(len(b)) {
		return e, false
	}
	e.Key = string(b[:numbers[0]])
	e.Value = append([]byte{}, b[numbers[0]:]...)
	e.Head = kv.Head{CreateRev: numbers[1], ModRev: numbers[2], Expiry: numbers[3], Size: len(e.Value)}
	return e, true
}
