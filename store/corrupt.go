package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/features"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/value"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
)

// Objects whose stored bytes make no object are kept apart from everything else
// that can go wrong: a read names them all at once, and they may be deleted by
// asking for exactly that (DeleteOptions.IgnoreStoreReadError...), as upstream
// does it.

// corruptError marks stored bytes that can never become an object again.
type corruptError struct {
	what string
	err  error
}

func (e *corruptError) Error() string { return e.what + ": " + e.err.Error() }

func (e *corruptError) Unwrap() error { return e.err }

// markingTransformer marks what its transformer refuses to read as corrupt.
type markingTransformer struct{ value.Transformer }

func markCorrupt(t value.Transformer) value.Transformer {
	if t == nil {
		return nil
	}
	return markingTransformer{t}
}

// TransformFromStorage implements value.Transformer.
func (t markingTransformer) TransformFromStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, bool, error) {
	out, stale, err := t.Transformer.TransformFromStorage(ctx, data, dataCtx)
	if err != nil {
		err = &corruptError{what: "data from the storage is not transformable", err: err}
	}
	return out, stale, err
}

func unsafeDeletion() bool {
	return utilfeature.DefaultFeatureGate.Enabled(features.AllowUnsafeMalformedObjectDeletion)
}

// corruptObject is what Get answers for an unreadable entry where such objects
// may be deleted; nil for other entries.
func corruptObject(e *entry) error {
	var corrupt *corruptError
	if unsafeDeletion() && errors.As(e.err, &corrupt) {
		return storage.NewCorruptObjError(e.key, corrupt)
	}
	return nil
}

// maxListErrors is how many corrupt objects one list names.
const maxListErrors = 100

// listErrors collects what a list could not read. Corrupt objects do not end the
// list, anything else does.
type listErrors struct {
	resource schema.GroupResource
	corrupt  []error
	abort    error
	tooMany  bool
}

// add takes the error of one item and reports whether the list may go on.
func (l *listErrors) add(e *entry, err error) bool {
	corrupt := corruptObject(e)
	if corrupt == nil {
		l.abort = err
		return false
	}
	l.corrupt = append(l.corrupt, corrupt)
	l.tooMany = len(l.corrupt) >= maxListErrors
	return !l.tooMany
}

// err is the answer to the list: nil if everything could be read.
func (l *listErrors) err() error {
	if len(l.corrupt) == 0 {
		return l.abort
	}
	message := fmt.Sprintf("failed to read one or more %s from the storage: %v", l.resource, l.corrupt[0])
	if n := len(l.corrupt); n > 1 {
		message += fmt.Sprintf(" (and %d more)", n-1)
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure,
		Code:   http.StatusInternalServerError,
		Reason: metav1.StatusReasonStoreReadError,
		Details: &metav1.StatusDetails{
			Group: l.resource.Group, Kind: l.resource.Resource, Name: "list", Causes: l.causes(),
		},
		Message: message,
	}}
}

func (l *listErrors) causes() []metav1.StatusCause {
	var causes []metav1.StatusCause
	for _, err := range l.corrupt {
		cause := metav1.StatusCause{Type: metav1.CauseTypeUnexpectedServerResponse, Message: err.Error()}
		var named *storage.StorageError
		if errors.As(err, &named) {
			cause.Field = named.Key
		}
		causes = append(causes, cause)
	}
	switch {
	case l.tooMany:
		causes = append(causes, metav1.StatusCause{Type: metav1.CauseTypeTooMany, Message: "too many errors, the list is truncated"})
	case l.abort != nil:
		causes = append(causes, metav1.StatusCause{Type: metav1.CauseTypeUnexpectedServerResponse, Message: l.abort.Error()})
	}
	return causes
}
