package store

import (
	"bytes"
	"encoding/json"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"
)

// foreign marks an entry that is stored in another version than its Resource reads,
// as custom resources may be. To decode it may mean to ask a conversion webhook, so
// whoever publishes leaves it to those who read: they need not be fast, and do not
// hold up the writes of others. obj is nil and err is not set in such an entry.
type foreign struct {
	// read is the entry as it was last decoded, nil before.
	read atomic.Pointer[entry]
	// asking is held while lists and watches decode, so that one does for all.
	asking sync.Mutex
}

// isForeign looks at stored bytes.
func (r *Resource) isForeign(data []byte) bool {
	if !bytes.HasPrefix(data, []byte("{")) {
		return false // not a custom resource
	}
	u, ok := r.cfg.NewFunc().(runtime.Unstructured)
	if !ok {
		return false
	}
	version := u.GetObjectKind().GroupVersionKind().GroupVersion().String()
	if version == "" || bytes.HasPrefix(data, []byte(`{"apiVersion":"`+version+`"`)) {
		return false
	}
	var stored struct {
		APIVersion string `json:"apiVersion"`
	}
	return json.Unmarshal(data, &stored) == nil && stored.APIVersion != version
}

// readable returns e decoded. A list or a watch may see what was made of e before.
func (r *Resource) readable(e *entry) *entry {
	if e == nil || e.foreign == nil {
		return e
	}
	if read := e.foreign.read.Load(); read != nil {
		return read
	}
	e.foreign.asking.Lock()
	defer e.foreign.asking.Unlock()
	if read := e.foreign.read.Load(); read != nil {
		return read
	}
	return r.fresh(e)
}

// fresh returns e decoded now: who asks for one object gets what is made of it today,
// also if it was written in another version than it is stored in. Failures are not
// kept.
func (r *Resource) fresh(e *entry) *entry {
	if e == nil || e.err != nil || !r.isForeign(e.data) {
		return e
	}
	read := &entry{key: e.key, head: e.head, data: e.data, stale: e.stale}
	if read.obj, read.err = r.decode(e.data); read.err != nil {
		read.err = &corruptError{what: "object not decodable", err: read.err}
	} else {
		read.err = r.versioner.UpdateObject(read.obj, uint64(e.head.ModRev))
	}
	if read.err != nil {
		read.obj = nil
		return read
	}
	if e.foreign != nil {
		e.foreign.read.Store(read)
	}
	return read
}
