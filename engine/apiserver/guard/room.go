package guard

import (
	"context"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/endpoints/request"

	"golang.org/x/sync/semaphore"
)

const (
	// LargeBody is the size from which on a body counts; LargeBodies is how many
	// bytes of such bodies are worked on at a time, and a user has half of them.
	LargeBody   = 256 << 10
	LargeBodies = 64 << 20
	// roomPatience is how long a large body waits for others to be done.
	roomPatience = 10 * time.Second
)

// room is what large bodies may take at a time: decoded, an object takes many times
// its size.
type room struct {
	once   sync.Once
	all    *semaphore.Weighted
	mu     sync.Mutex
	byUser map[string]int64
}

// take waits for room for the body of req. A body of unknown length counts as the
// largest there is.
func (r *room) take(req *http.Request) (release func(), err error) {
	size := req.ContentLength
	if size < 0 || size > largestBody {
		size = largestBody
	}
	if size < LargeBody || !fromNetwork(req) {
		return func() {}, nil
	}
	r.once.Do(func() { r.all, r.byUser = semaphore.NewWeighted(LargeBodies), map[string]int64{} })
	who := userOf(req)
	if !r.charge(who, size) {
		return nil, apierrors.NewTooManyRequests("this user has too many large requests under way", 1)
	}
	ctx, cancel := context.WithTimeout(req.Context(), roomPatience)
	defer cancel()
	if err := r.all.Acquire(ctx, size); err != nil {
		r.charge(who, -size)
		return nil, waitsFor(ctx, "too many large requests are under way")
	}
	return func() {
		r.all.Release(size)
		r.charge(who, -size)
	}, nil
}

const largestBody = 3 << 20

// charge adds to a user's account, unless that would exceed the user's half.
func (r *room) charge(who string, size int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.byUser[who] + size
	if size > 0 && now > LargeBodies/2 {
		return false
	}
	if now == 0 {
		delete(r.byUser, who)
		return true
	}
	r.byUser[who] = now
	return true
}

func userOf(req *http.Request) string {
	if u, ok := request.UserFrom(req.Context()); ok {
		return u.GetName()
	}
	return ""
}

// fromNetwork reports whether a listener accepted the request.
func fromNetwork(req *http.Request) bool { return req.Context().Value(http.LocalAddrContextKey) != nil }
