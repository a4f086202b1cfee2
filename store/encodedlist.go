package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	goruntime "runtime"
	"sync"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// EncodedList may be given to GetList, which then fills in a list for an encoder
// rather than for reading: it is put together from the bytes of its items where
// that is possible.
type EncodedList struct {
	metav1.ListMeta
	from    *Resource
	entries []*entry
}

var (
	_ runtime.CacheableObject = (*EncodedList)(nil)
	_ metav1.ListInterface    = (*EncodedList)(nil)
)

// errOtherForm means that an encoder did not write what was expected of it.
var errOtherForm = errors.New("encoded in another form")

// CacheEncode implements runtime.CacheableObject.
func (l *EncodedList) CacheEncode(id runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	var err error = errOtherForm
	switch enc := &l.from.cfg.Encodings; {
	case id == "":
	case id == enc.Protobuf:
		err = l.encodeProtobuf(encode, w)
	case id == enc.JSON:
		err = l.encodeJSON(encode, w)
	}
	if !errors.Is(err, errOtherForm) {
		return err
	}
	list, err := l.typed(l.entries)
	if err != nil {
		return err
	}
	return encode(list, w)
}

// GetObject implements runtime.CacheableObject: the list of the kind, with shallow
// copies of the objects.
func (l *EncodedList) GetObject() runtime.Object {
	list, err := l.typed(l.entries)
	if err != nil {
		// Every list type was tried when its resource was first listed.
		panic("store: " + err.Error())
	}
	return list
}

func (l *EncodedList) typed(entries []*entry) (runtime.Object, error) {
	list := l.from.cfg.NewListFunc()
	sink, err := newListSink(list)
	if err != nil {
		return nil, err
	}
	sink.expect(len(entries))
	for _, e := range entries {
		if err := sink.put(e); err != nil {
			return nil, err
		}
	}
	sink.finish()
	if m, ok := list.(metav1.ListMetaAccessor); ok {
		if into, ok := m.GetListMeta().(*metav1.ListMeta); ok {
			*into = l.ListMeta
			return list, nil
		}
	}
	return nil, fmt.Errorf("%T has no metadata", list)
}

// DeepCopyObject implements runtime.Object. What is held never changes.
func (l *EncodedList) DeepCopyObject() runtime.Object {
	c := *l
	l.ListMeta.DeepCopyInto(&c.ListMeta)
	return &c
}

// GetObjectKind implements runtime.Object.
func (*EncodedList) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// empty encodes the list without its items.
func (l *EncodedList) empty(encode func(runtime.Object, io.Writer) error) ([]byte, error) {
	list, err := l.typed(nil)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	err = encode(list, &buf)
	return buf.Bytes(), err
}

// writeSize is how much is written at a time: more than the size from which answers
// are compressed, which is judged by the first write.
const writeSize = 256 << 10

// encodeProtobuf writes the list around the messages of its items.
func (l *EncodedList) encodeProtobuf(encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	frame, err := l.empty(encode)
	if err != nil {
		return err
	}
	body, found := bytes.CutPrefix(frame, []byte(envelopeMagic))
	at, ok := seek(body, tagMessage>>3)
	if !found || !ok {
		return errOtherForm
	}
	message, end, ok := field(body[at:], tagMessage)
	if !ok {
		return errOtherForm
	}
	items := make([]wire, len(l.entries))
	size := len(message)
	for i, e := range l.entries {
		if items[i], ok = l.from.wire(e, encode); !ok {
			return errOtherForm
		}
		n := items[i].size(revisionDigits(e.head.ModRev))
		size += 1 + varintSize(n) + n
	}
	out := newChunks(w)
	defer out.release()
	out.buf = append(out.buf, frame[:len(envelopeMagic)+at]...)
	out.buf = appendSize(append(out.buf, tagMessage), size)
	out.buf = append(out.buf, message...)
	var digits [20]byte
	for i, e := range l.entries {
		revision := appendRevision(digits[:0], e.head.ModRev)
		out.buf = appendSize(append(out.buf, tagItem), items[i].size(len(revision)))
		out.buf = items[i].appendMessage(out.buf, revision)
		if err := out.full(); err != nil {
			return err
		}
	}
	out.buf = append(out.buf, body[at+end:]...)
	return out.flush()
}

// encodeJSON writes the list around the texts of its items, which are those of the
// objects without their kind.
func (l *EncodedList) encodeJSON(encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	const end = "]}\n"
	frame, err := l.empty(encode)
	if err != nil {
		return err
	}
	open, ok := bytes.CutSuffix(frame, []byte(end))
	if !ok || !bytes.HasSuffix(open, []byte(`"items":[`)) {
		return errOtherForm
	}
	l.from.store.texts.touch()
	out := newChunks(w)
	defer out.release()
	out.buf = append(out.buf, open...)
	for from := 0; from < len(l.entries); from += textsAtATime {
		some := l.entries[from:min(from+textsAtATime, len(l.entries))]
		raws, err := l.from.textsOf(some, encode)
		if err != nil {
			return err
		}
		for i, raw := range raws {
			if from+i > 0 {
				out.buf = append(out.buf, ',')
			}
			if out.buf, err = appendItem(out.buf, raw); err != nil {
				return err
			}
			if err := out.full(); err != nil {
				return err
			}
		}
	}
	out.buf = append(out.buf, end...)
	return out.flush()
}

// appendItem appends the text of an object without kind, version and newline.
func appendItem(to, raw []byte) ([]byte, error) {
	const metadata = `"metadata":`
	at := bytes.Index(raw, []byte(metadata))
	if at < 0 || !bytes.HasPrefix(raw, []byte(`{"kind":`)) {
		return nil, errors.New("object without kind or metadata")
	}
	to = append(to, '{')
	return append(to, bytes.TrimSuffix(raw[at:], []byte("\n"))...), nil
}

// textsAtATime bounds the texts that are in memory without being kept.
const textsAtATime = 512

// textsOf makes the texts of some entries on all cores.
func (r *Resource) textsOf(entries []*entry, encode func(runtime.Object, io.Writer) error) ([][]byte, error) {
	raws := make([][]byte, len(entries))
	var missing []int
	for i, e := range entries {
		if raws[i] = r.store.texts.load(&e.text); raws[i] == nil {
			missing = append(missing, i)
		}
	}
	const step = 16
	failures := make([]error, len(missing))
	var next atomic.Int64
	var workers sync.WaitGroup
	work := func() {
		for {
			from := int(next.Add(step)) - step
			for n := from; n < min(from+step, len(missing)); n++ {
				i := missing[n]
				raws[i], failures[n] = r.text(entries[i], encode)
			}
			if from >= len(missing) {
				return
			}
		}
	}
	for range min(goruntime.GOMAXPROCS(0), len(missing)/step) - 1 {
		workers.Go(work)
	}
	work()
	workers.Wait()
	return raws, errors.Join(failures...)
}

// chunks gathers small pieces to large writes.
type chunks struct {
	w   io.Writer
	buf []byte
	of  *[]byte
}

func newChunks(w io.Writer) *chunks {
	of := buffers.Get().(*[]byte)
	return &chunks{w: w, of: of, buf: (*of)[:0]}
}

// full writes if there is enough for a write.
func (c *chunks) full() error {
	if len(c.buf) < writeSize {
		return nil
	}
	return c.flush()
}

func (c *chunks) flush() error {
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}

func (c *chunks) release() {
	*c.of = c.buf
	release(c.of)
}
