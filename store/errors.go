package store

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/storage"

	"github.com/pintle-io/pintle/store/kv"
)

// The words clients of Kubernetes look for in an expired list.
const (
	listExpired     = "The resourceVersion for the provided list is too old."
	watchExpired    = "The resourceVersion for the provided watch is too old."
	continueExpired = "The provided continue parameter is too old to display a consistent list result. " +
		"You can start a new list without the continue parameter, or use the continue token in this " +
		"response to retrieve the remainder of the results. Continuing with the provided token results " +
		"in an inconsistent list - objects that were created, modified, or deleted between the time the " +
		"first chunk was returned and now may show up in the list."
)

// expiredError answers a read below the compacted revision. A paged list gets a
// token to go on with at the newest revision.
func expiredError(prefix, continueKey string) error {
	if continueKey == "" {
		return apierrors.NewResourceExpired(listExpired)
	}
	token, err := storage.EncodeContinue(continueKey, prefix, -1)
	if err != nil {
		return apierrors.NewResourceExpired(listExpired)
	}
	status := apierrors.NewResourceExpired(continueExpired)
	status.ErrStatus.ListMeta.Continue = token
	return status
}

// readError turns the error of an unreadable entry into what Get returns.
func readError(e *entry) error {
	var transform *untransformableError
	if errors.As(e.err, &transform) {
		return storage.NewInternalError(transform.err)
	}
	return e.err
}

// itemError is the same for one item of a list.
func itemError(e *entry) error {
	var transform *untransformableError
	if errors.As(e.err, &transform) {
		return storage.NewInternalError(e.err)
	}
	return e.err
}

// writeError adds the object to an error of kv that is not a conflict.
func writeError(op, key string, err error) error {
	if errors.Is(err, kv.ErrDiskFull) {
		return &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusInsufficientStorage, Reason: metav1.StatusReasonInternalError,
			Message: fmt.Sprintf("%s %s: %v. Free some space there, or delete objects", op, key, err),
		}}
	}
	if errors.Is(err, kv.ErrFailed) || errors.Is(err, kv.ErrClosed) {
		return apierrors.NewServiceUnavailable(fmt.Sprintf("%s %s: %v", op, key, err))
	}
	if errors.Is(err, ErrFenced) {
		return fencedError{apierrors.NewServiceUnavailable(fmt.Sprintf("%s %s: %v", op, key, err))}
	}
	return fmt.Errorf("%s %s: %w", op, key, err)
}

// fencedError is ErrFenced as clients of the API see it.
type fencedError struct{ *apierrors.StatusError }

func (fencedError) Unwrap() error { return ErrFenced }

func isConflict(err error) bool {
	var conflict *kv.ConflictError
	return errors.As(err, &conflict)
}
