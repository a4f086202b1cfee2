package guard

import (
	"context"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
)

const (
	// YAMLLists is how many lists are written as YAML at a time. The library makes
	// such a list of all its objects at once, in forty times the memory of the
	// text and a hundred times the time that JSON takes, which it streams.
	YAMLLists = 2
	// listPatience is how long another one waits.
	listPatience = 10 * time.Second
)

// Lists bounds the lists that are expensive to write.
type Lists struct {
	slots  *semaphore.Weighted
	codecs runtime.NegotiatedSerializer
}

// NewLists refuses in an encoding of codecs.
func NewLists(codecs runtime.NegotiatedSerializer) *Lists {
	return &Lists{slots: semaphore.NewWeighted(YAMLLists), codecs: codecs}
}

// Wrap puts the bound before next.
func (l *Lists) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		info, ok := request.RequestInfoFrom(req.Context())
		if !ok || info.Verb != "list" || !strings.Contains(req.Header.Get("Accept"), "yaml") || !fromNetwork(req) {
			next.ServeHTTP(w, req)
			return
		}
		ctx, cancel := context.WithTimeout(req.Context(), listPatience)
		defer cancel()
		if l.slots.Acquire(ctx, 1) != nil {
			err := waitsFor(ctx, "too many lists are being written as YAML; ask for JSON, or for a page with limit")
			responsewriters.ErrorNegotiated(err, l.codecs, schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}, w, req)
			return
		}
		defer l.slots.Release(1)
		next.ServeHTTP(w, req)
	})
}
