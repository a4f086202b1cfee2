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

// cachingObject wraps a shared object on its way to the encoders of many
// watches: each encoding is made once. It stands for the object it wraps, so
// that it may travel in a watch event.
type cachingObject struct {
	obj runtime.Object // never changed
	// stored is obj as it may be written from stored bytes; nil if it is not stored
	// as it is.
	stored *EncodedObject

	mu struct {
		sync.Mutex
		encodings map[runtime.Identifier]*encoding
	}
}

type encoding struct {
	once sync.Once
	raw  []byte
	err  error
}

var (
	_ runtime.CacheableObject   = (*cachingObject)(nil)
	_ metav1.ObjectMetaAccessor = (*cachingObject)(nil)
)

func newCachingObject(obj runtime.Object, stored *EncodedObject) *cachingObject {
	return &cachingObject{obj: obj, stored: stored}
}

// CacheEncode implements runtime.CacheableObject.
func (o *cachingObject) CacheEncode(id runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	e := o.encoding(id)
	e.once.Do(func() {
		var buf bytes.Buffer
		if o.stored != nil {
			e.err = encode(o.stored, &buf)
		} else {
			// Encoders set the kind on what they are given.
			e.err = encode(o.GetObject(), &buf)
		}
		e.raw = buf.Bytes()
	})
	if e.err != nil {
		return e.err
	}
	_, err := w.Write(e.raw)
	return err
}

func (o *cachingObject) encoding(id runtime.Identifier) *encoding {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.mu.encodings[id]; e != nil {
		return e
	}
	if o.mu.encodings == nil {
		o.mu.encodings = map[runtime.Identifier]*encoding{}
	}
	e := &encoding{}
	o.mu.encodings[id] = e
	return e
}

// GetObject implements runtime.CacheableObject. The copy is shallow.
func (o *cachingObject) GetObject() runtime.Object { return shallowCopy(o.obj) }

// DeepCopyObject implements runtime.Object.
func (o *cachingObject) DeepCopyObject() runtime.Object {
	return newCachingObject(o.obj.DeepCopyObject(), nil)
}

// GetObjectMeta implements metav1.ObjectMetaAccessor, for readers.
func (o *cachingObject) GetObjectMeta() metav1.Object {
	m, err := meta.Accessor(o.obj)
	if err != nil {
		panic(fmt.Sprintf("store: object without metadata: %T", o.obj))
	}
	return m
}

// GetObjectKind implements runtime.Object.
func (o *cachingObject) GetObjectKind() schema.ObjectKind { return sharedKind{o.obj.GetObjectKind()} }

// sharedKind reads the kind of a shared object and ignores attempts to set it.
type sharedKind struct{ schema.ObjectKind }

// SetGroupVersionKind implements schema.ObjectKind.
func (sharedKind) SetGroupVersionKind(schema.GroupVersionKind) {}
