package apiserver

import (
	"net/http"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/authenticator"

	"github.com/pintle-io/pintle/engine/registry"
)

// A request runs on up to three goroutines: the connection's, one that may outlive
// its timeout, and one for the write. What of ours runs first on each of them grows
// its stack: the outermost filter, the authenticator, and what makes new objects or,
// in the registry, updates and deletes.

func onGrownStack(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		growForFilters(0)
		next.ServeHTTP(w, req)
	})
}

// filterStack is what the outer filters need, which is little: watches, of which there
// may be many, stay on this goroutine.
const filterStack = 5 << 10

// growForFilters has a frame of filterStack; it reads where it is told to, or else the
// compiler would do without the frame.
//
//go:noinline
func growForFilters(at int) byte {
	var room [filterStack]byte
	return room[at]
}

// stackGrower authenticates.
type stackGrower struct{ authenticator.Request }

// AuthenticateRequest implements authenticator.Request.
func (a stackGrower) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	registry.GrowStack()
	return a.Request.AuthenticateRequest(req)
}

// stackGrowingCreater makes objects.
type stackGrowingCreater struct{ runtime.ObjectCreater }

// New implements runtime.ObjectCreater.
func (c stackGrowingCreater) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	registry.GrowStack()
	return c.ObjectCreater.New(kind)
}
