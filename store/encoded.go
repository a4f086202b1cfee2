package store

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Encodings names the encoders whose output a Resource may write from the bytes it
// holds, without encoding: those of the version that is stored. Left empty, objects
// are always encoded.
type Encodings struct {
	// Protobuf is also the form in which Codec stores.
	Protobuf runtime.Identifier
	// JSON is kept for some time once it was made.
	JSON runtime.Identifier
}

// EncodedObject may be given to Get, which then fills in an object for an encoder
// rather than for reading: it is written from stored bytes where that is possible.
type EncodedObject struct {
	from  *Resource
	entry *entry
}

var (
	_ runtime.CacheableObject   = (*EncodedObject)(nil)
	_ metav1.ObjectMetaAccessor = (*EncodedObject)(nil)
)

// CacheEncode implements runtime.CacheableObject.
func (o *EncodedObject) CacheEncode(id runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	e, enc := o.entry, &o.from.cfg.Encodings
	switch {
	case id == "":
	case id == enc.Protobuf:
		if parts, ok := o.from.wire(e, encode); ok {
			buf := buffers.Get().(*[]byte)
			defer release(buf)
			var digits [20]byte
			*buf = parts.appendObject((*buf)[:0], appendRevision(digits[:0], e.head.ModRev))
			_, err := w.Write(*buf)
			return err
		}
	case id == enc.JSON:
		o.from.store.texts.touch()
		raw, err := o.from.text(e, encode)
		if err != nil {
			return err
		}
		_, err = w.Write(raw)
		return err
	}
	return encode(o.GetObject(), w)
}

// GetObject implements runtime.CacheableObject. The copy is shallow.
func (o *EncodedObject) GetObject() runtime.Object { return shallowCopy(o.entry.obj) }

// DeepCopyObject implements runtime.Object. What is held never changes.
func (o *EncodedObject) DeepCopyObject() runtime.Object {
	c := *o
	return &c
}

// GetObjectMeta implements metav1.ObjectMetaAccessor, for readers.
func (o *EncodedObject) GetObjectMeta() metav1.Object {
	m, err := meta.Accessor(o.entry.obj)
	if err != nil {
		panic(fmt.Sprintf("store: object without metadata: %T", o.entry.obj))
	}
	return m
}

// GetObjectKind implements runtime.Object.
func (o *EncodedObject) GetObjectKind() schema.ObjectKind {
	return sharedKind{o.entry.obj.GetObjectKind()}
}

// buffers are for answers on their way out.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the largest buffer that is used again.
const maxPooled = 1 << 20

func release(buf *[]byte) {
	if cap(*buf) <= maxPooled {
		buffers.Put(buf)
	}
}

// wire takes the stored form of e apart. What an earlier process stored is encoded
// once before it is trusted: that process may have known other fields and defaults.
func (r *Resource) wire(e *entry, encode func(runtime.Object, io.Writer) error) (wire, bool) {
	if e.exact.Load() {
		return parseWire(e.data)
	}
	var now bytes.Buffer
	if encode(shallowCopy(e.obj), &now) != nil {
		return wire{}, false
	}
	parts, ok := parseWire(now.Bytes())
	if !ok {
		return parts, false
	}
	if stored, ok := parseWire(e.data); ok && stored.same(&parts) {
		e.exact.Store(true)
	}
	return parts, true
}

// same compares all but the resource version.
func (w *wire) same(o *wire) bool {
	return bytes.Equal(w.before, o.before) && bytes.Equal(w.after, o.after) &&
		bytes.Equal(w.head, o.head) && bytes.Equal(w.tail, o.tail) && bytes.Equal(w.rest, o.rest)
}

// text is the JSON of e.
func (r *Resource) text(e *entry, encode func(runtime.Object, io.Writer) error) ([]byte, error) {
	if raw := r.store.texts.load(&e.text); raw != nil {
		return raw, nil
	}
	buf := buffers.Get().(*[]byte)
	defer release(buf)
	made := bytes.NewBuffer((*buf)[:0])
	err := encode(shallowCopy(e.obj), made)
	*buf = made.Bytes()
	if err != nil {
		return nil, err
	}
	raw := bytes.Clone(made.Bytes())
	r.store.texts.keep(&e.text, raw)
	return raw, nil
}
