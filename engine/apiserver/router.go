package apiserver

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	restful "github.com/emicklei/go-restful/v3"
)

// router finds routes by the tokens of their paths. go-restful's own looks at every
// route of a service for each request, several hundred in the case of the core
// group; it still decides whenever there is more than one way to answer, a pattern
// in a path, or nothing that fits.
type router struct {
	restful.CurlyRouter
	index atomic.Pointer[routeIndex]
}

// routeIndex is what was installed when it was made.
type routeIndex struct {
	services []*restful.WebService
	routes   int
	root     *routeNode
}

// routeNode is a place in the tree of path tokens.
type routeNode struct {
	fixed map[string]*routeNode
	any   *routeNode // for {name}
	// byMethod holds the routes that end here.
	byMethod map[string][]*indexedRoute
}

type indexedRoute struct {
	service *restful.WebService
	route   *restful.Route
}

// SelectRoute implements restful.RouteSelector.
func (r *router) SelectRoute(services []*restful.WebService, req *http.Request) (*restful.WebService, *restful.Route, error) {
	if found := r.current(services).find(req); found != nil {
		return found.service, found.route, nil
	}
	return r.CurlyRouter.SelectRoute(services, req)
}

// current indexes anew after something was installed. Requests may do so at the
// same time; all come to the same.
func (r *router) current(services []*restful.WebService) *routeIndex {
	routes := 0
	for _, s := range services {
		routes += len(s.Routes())
	}
	if index := r.index.Load(); index != nil && index.routes == routes && slices.Equal(index.services, services) {
		return index
	}
	index := &routeIndex{services: slices.Clone(services), routes: routes, root: &routeNode{}}
	for _, s := range services {
		routes := s.Routes()
		for i := range routes {
			index.root.add(s, &routes[i])
		}
	}
	r.index.Store(index)
	return index
}

func (n *routeNode) add(s *restful.WebService, route *restful.Route) {
	for _, token := range tokens(route.Path) {
		if !strings.ContainsAny(token, "{}:") {
			next := n.fixed[token]
			if next == nil {
				if n.fixed == nil {
					n.fixed = map[string]*routeNode{}
				}
				next = &routeNode{}
				n.fixed[token] = next
			}
			n = next
			continue
		}
		if strings.Contains(token, ":") || !strings.HasPrefix(token, "{") || !strings.HasSuffix(token, "}") {
			return // a pattern
		}
		if n.any == nil {
			n.any = &routeNode{}
		}
		n = n.any
	}
	if n.byMethod == nil {
		n.byMethod = map[string][]*indexedRoute{}
	}
	n.byMethod[route.Method] = append(n.byMethod[route.Method], &indexedRoute{s, route})
}

// forgetDocs lets go of what describes the routes of a container, several megabytes.
// It must not be serving yet.
func forgetDocs(c *restful.Container) {
	for _, s := range c.RegisteredWebServices() {
		routes := s.Routes()
		for i := range routes {
			r := &routes[i]
			r.Doc, r.Notes, r.ParameterDocs, r.Metadata = "", "", nil, nil
			r.ResponseErrors, r.DefaultResponse = nil, nil
			r.ReadSample, r.WriteSample, r.WriteSamples = nil, nil, nil
		}
	}
}

func tokens(path string) []string {
	path = strings.Trim(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// find returns the one route that fits, nil if there are none or several.
func (i *routeIndex) find(req *http.Request) *indexedRoute {
	path := req.URL.Path
	if len(path) < 2 || path[0] != '/' || strings.HasSuffix(path, "/") || strings.Contains(path, "//") {
		return nil
	}
	end := i.root.walk(path[1:])
	if end == nil || len(end.byMethod[req.Method]) != 1 {
		return nil
	}
	found := end.byMethod[req.Method][0]
	if len(found.route.If) > 0 || !consumes(found.route, req) || !produces(found.route, req) {
		return nil
	}
	return found
}

// walk follows a path; a fixed token goes before a name, as in go-restful.
func (n *routeNode) walk(path string) *routeNode {
	token, rest, more := strings.Cut(path, "/")
	for _, next := range [2]*routeNode{n.fixed[token], n.any} {
		if next == nil {
			continue
		}
		if !more {
			if next.byMethod != nil {
				return next
			}
		} else if end := next.walk(rest); end != nil {
			return end
		}
	}
	return nil
}

const anyType = "*/*"

func consumes(route *restful.Route, req *http.Request) bool {
	if len(route.Consumes) == 0 || slices.Contains(route.Consumes, anyType) {
		return true
	}
	return slices.Contains(route.Consumes, req.Header.Get(restful.HEADER_ContentType))
}

func produces(route *restful.Route, req *http.Request) bool {
	accept := req.Header.Get(restful.HEADER_Accept)
	if accept == "" {
		return true
	}
	for part := range strings.SplitSeq(accept, ",") {
		kind, _, _ := strings.Cut(part, ";")
		if kind = strings.TrimSpace(kind); kind == anyType || slices.Contains(route.Produces, kind) {
			return true
		}
	}
	return false
}
