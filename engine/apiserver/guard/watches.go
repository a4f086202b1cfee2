package guard

import (
	"fmt"
	"net/http"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// Streams bounds the requests that last: watches, logs, exec and their like, which
// the limits on requests under way leave out. One user has three quarters of them.
type Streams struct {
	Limit       int
	LongRunning request.LongRunningRequestCheck
	Codecs      runtime.NegotiatedSerializer

	mu struct {
		sync.Mutex
		all    int
		byUser map[string]int
	}
}

// Wrap counts before next. It belongs behind authentication.
func (s *Streams) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		info, ok := request.RequestInfoFrom(req.Context())
		if !ok || !fromNetwork(req) || !s.LongRunning(req, info) {
			next.ServeHTTP(w, req)
			return
		}
		who := userOf(req)
		if !s.enter(who) {
			err := apierrors.NewTooManyRequests(fmt.Sprintf("too many watches and streams are open; the limit is %d for all and %d for one user", s.Limit, share(s.Limit)), 5)
			responsewriters.ErrorNegotiated(err, s.Codecs, schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}, w, req)
			return
		}
		defer s.exit(who)
		next.ServeHTTP(w, req)
	})
}

// share is one user's part of a limit.
func share(limit int) int { return limit - limit/4 }

func (s *Streams) enter(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.all >= s.Limit || s.mu.byUser[who] >= share(s.Limit) {
		return false
	}
	if s.mu.byUser == nil {
		s.mu.byUser = map[string]int{}
	}
	s.mu.all++
	s.mu.byUser[who]++
	return true
}

func (s *Streams) exit(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.all--
	if s.mu.byUser[who]--; s.mu.byUser[who] == 0 {
		delete(s.mu.byUser, who)
	}
}
