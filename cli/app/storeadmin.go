package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/store"
	"github.com/pintle-io/pintle/store/kv"
	"github.com/pintle-io/pintle/store/snapshot"
)

// StorePath is the root of the paths by which the store of a running server is
// administered. They are paths without a resource: whoever may use them is said by
// rules with nonResourceURLs, and administrators may.
const StorePath = "/pintle/store"

// storeAdmin serves StorePath.
type storeAdmin struct {
	store *store.Store
	data  string
	may   authorizer.Authorizer
}

func storePaths(s *store.Store, data string, may authorizer.Authorizer) map[string]http.Handler {
	a := &storeAdmin{store: s, data: data, may: may}
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(*http.Request) (any, error){
		"GET /{$}":                 func(*http.Request) (any, error) { return s.Status() },
		"GET /revision":            a.revision,
		"GET /history":             a.history,
		"GET /snapshots":           func(*http.Request) (any, error) { return snapshot.List(SnapshotDir(data)) },
		"POST /snapshots/{name}":   a.saveSnapshot,
		"DELETE /snapshots/{name}": a.deleteSnapshot,
		"POST /verify":             func(r *http.Request) (any, error) { return s.Verify(r.Context()) },
		"POST /rotate-key":         a.rotateKey,
		"POST /compact":            a.compact,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			answer, err := serve(r)
			if err != nil {
				refuseStore(w, err)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(answer) // the client is gone
		})
	}
	mux.HandleFunc("GET /export", a.export)
	root := http.StripPrefix(StorePath, withRoot(mux))
	return map[string]http.Handler{StorePath: root, StorePath + "/": root}
}

// withRoot makes the path without anything behind it the root.
func withRoot(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "", "/":
			r.URL.Path = "/"
		case "/revision", "/history", "/snapshots", "/verify", "/rotate-key", "/compact", "/export":
		default:
			if _, _, ok := bytes.Cut([]byte(r.URL.Path), []byte("/snapshots/")); !ok {
				refuseStore(w, apierrors.NewGenericServerResponse(http.StatusNotFound, r.Method, schema.GroupResource{}, "", "there is no "+StorePath+r.URL.Path, 0, true))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func refuseStore(w http.ResponseWriter, err error) {
	var known apierrors.APIStatus
	switch {
	case errors.As(err, &known):
	case errors.Is(err, kv.ErrCompacted):
		known = apierrors.NewResourceExpired(err.Error())
	case errors.Is(err, kv.ErrFutureRevision):
		known = apierrors.NewBadRequest(err.Error())
	case errors.Is(err, os.ErrExist):
		known = apierrors.NewConflict(schema.GroupResource{Resource: "snapshots"}, "", err)
	case errors.Is(err, os.ErrNotExist):
		known = apierrors.NewGenericServerResponse(http.StatusNotFound, "", schema.GroupResource{}, "", err.Error(), 0, true)
	default:
		known = apierrors.NewInternalError(err)
	}
	status := known.Status()
	status.Kind, status.APIVersion = "Status", "v1"
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(status.Code))
	_ = json.NewEncoder(w).Encode(status) // the client is gone
}

// StoreRevision answers which revision was the newest at a time.
type StoreRevision struct {
	Revision int64 `json:"revision"`
}

func (a *storeAdmin) revision(r *http.Request) (any, error) {
	at, err := time.Parse(time.RFC3339, r.URL.Query().Get("at"))
	if err != nil {
		return nil, apierrors.NewBadRequest("at: want a time such as 2026-11-23T17:00:00Z")
	}
	rev, err := a.store.RevisionAt(at)
	return StoreRevision{Revision: rev}, err
}

// StoreVersion is one retained version of an object.
type StoreVersion struct {
	Revision int64     `json:"revision"`
	Time     time.Time `json:"time,omitzero"`
	// Type is ADDED, MODIFIED or DELETED.
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// history shows the versions of one object to whoever may get it.
func (a *storeAdmin) history(r *http.Request) (any, error) {
	q := r.URL.Query()
	gvr := schema.GroupVersionResource{Group: q.Get("group"), Version: q.Get("version"), Resource: q.Get("resource")}
	namespace, name := q.Get("namespace"), q.Get("name")
	if gvr.Resource == "" || gvr.Version == "" || name == "" {
		return nil, apierrors.NewBadRequest("history needs version, resource and name, and group and namespace where the object has them")
	}
	who, _ := request.UserFrom(r.Context())
	verdict, reason, err := a.may.Authorize(r.Context(), authorizer.AttributesRecord{
		User: who, Verb: "get", APIGroup: gvr.Group, APIVersion: gvr.Version, Resource: gvr.Resource,
		Namespace: namespace, Name: name, ResourceRequest: true,
	})
	if err != nil || verdict != authorizer.DecisionAllow {
		return nil, apierrors.NewForbidden(gvr.GroupResource(), name, errors.Join(errors.New(reason), err))
	}
	key := "/" + gvr.Resource + "/"
	if gvr.Group != "" {
		key = "/" + gvr.Group + key
	}
	if namespace != "" {
		key += namespace + "/"
	}
	past, err := a.store.ObjectHistory(key + name)
	if err != nil {
		return nil, err
	}
	if len(past) == 0 {
		return nil, apierrors.NewNotFound(gvr.GroupResource(), name)
	}
	versions := []StoreVersion{}
	for _, p := range past {
		versions = append(versions, showVersion(p, gvr.GroupVersion()))
	}
	return versions, nil
}

func showVersion(p store.PastObject, gv schema.GroupVersion) StoreVersion {
	v := StoreVersion{Revision: p.Revision, Time: p.Time, Type: "MODIFIED"}
	switch {
	case p.Deleted:
		v.Type = "DELETED"
		return v
	case p.Created:
		v.Type = "ADDED"
	}
	err := p.Err
	if err == nil {
		v.Object, err = encodeJSON(p.Object, gv)
	}
	if err != nil {
		v.Error = err.Error()
	}
	return v
}

func encodeJSON(obj runtime.Object, gv schema.GroupVersion) ([]byte, error) {
	if _, custom := obj.(runtime.Unstructured); custom {
		return json.Marshal(obj)
	}
	info, ok := runtime.SerializerInfoForMediaType(served.Codecs().SupportedMediaTypes(), runtime.ContentTypeJSON)
	if !ok {
		return nil, errors.New("no JSON serializer")
	}
	var out bytes.Buffer
	err := served.Codecs().EncoderForVersion(info.Serializer, gv).Encode(obj, &out)
	return out.Bytes(), err
}

func (a *storeAdmin) saveSnapshot(r *http.Request) (any, error) {
	if err := snapshot.CheckName(r.PathValue("name")); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return a.store.Snapshot(SnapshotDir(a.data), r.PathValue("name"), r.URL.Query().Get("keys") == "include")
}

func (a *storeAdmin) deleteSnapshot(r *http.Request) (any, error) {
	err := snapshot.Delete(SnapshotDir(a.data), r.PathValue("name"))
	return metav1.Status{Status: metav1.StatusSuccess}, err
}

// StoreRotation answers what a rotation did.
type StoreRotation struct {
	Rewritten int         `json:"rewritten"`
	Keys      *store.Keys `json:"keys"`
}

func (a *storeAdmin) rotateKey(r *http.Request) (any, error) {
	// Once begun it goes on, whether or not the client waits.
	n, err := a.store.RotateKey(context.WithoutCancel(r.Context()))
	return StoreRotation{Rewritten: n, Keys: a.store.Keys()}, err
}

func (a *storeAdmin) compact(r *http.Request) (any, error) {
	rev, err := strconv.ParseInt(r.URL.Query().Get("revision"), 10, 64)
	if err != nil {
		return nil, apierrors.NewBadRequest("revision: want a number")
	}
	if err := a.store.Compact(rev); err != nil {
		return nil, err
	}
	return a.store.Status()
}

// export streams. Where it fails it breaks the stream off, which has no end mark then.
func (a *storeAdmin) export(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	w.Header().Set("Content-Type", "application/octet-stream")
	opts := store.ExportOptions{Decrypt: q.Get("decrypt") == "true", IncludeKeys: q.Get("keys") == "include"}
	if _, err := a.store.Export(r.Context(), w, opts); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// storeCheck names what is wrong with the store.
func storeCheck(s *store.Store) func(*http.Request) error {
	return func(*http.Request) error {
		if err := s.Err(); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		return nil
	}
}

// storeFailure is what only a restart can mend. A full disk is not: whoever restarts
// servers that are not alive would do so for nothing.
func storeFailure(s *store.Store) error {
	if err := s.Err(); errors.Is(err, kv.ErrFailed) {
		return err
	}
	return nil
}
