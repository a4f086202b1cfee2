package command

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// takeAt removes --at from the arguments of `pintle get` and returns its value.
func takeAt(args []string) (others []string, at string, err error) {
	for i := 0; i < len(args); i++ {
		value, joined := strings.CutPrefix(args[i], "--at=")
		switch {
		case args[i] == "--":
			return append(others, args[i:]...), at, nil
		case joined:
			at = value
		case args[i] == "--at" && i+1 < len(args):
			i++
			at = args[i]
		case args[i] == "--at":
			return nil, "", cli.Exit("pintle get: --at takes a revision or a time such as 2026-11-23T17:00:00Z", 2)
		default:
			others = append(others, args[i])
		}
	}
	if at != "" && slices.ContainsFunc(others, func(a string) bool { return a == "-w" || strings.HasPrefix(a, "--watch") }) {
		return nil, "", cli.Exit("pintle get: the past cannot be watched; leave out --at or --watch", 2)
	}
	return others, at, nil
}

// readPast makes a client's reads show the cluster as it was at a revision or time.
func readPast(at string) func(*rest.Config) *rest.Config {
	return func(cfg *rest.Config) *rest.Config {
		present := rest.CopyConfig(cfg)
		past := rest.CopyConfig(cfg)
		past.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return &pastReader{next: next, at: at, present: present}
		})
		return past
	}
}

// pastReader turns reads of objects into lists at an exact revision, which the API
// answers from history; a single object is a list of that name. Discovery stays as it
// is.
type pastReader struct {
	next     http.RoundTripper
	at       string
	present  *rest.Config
	revision int64
}

// RoundTrip implements http.RoundTripper.
func (p *pastReader) RoundTrip(r *http.Request) (*http.Response, error) {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	// api/VERSION or apis/GROUP/VERSION, then [namespaces/NAME/]RESOURCE[/NAME].
	head := 2
	if path[0] == "apis" {
		head = 3
	}
	if r.Method != http.MethodGet || (path[0] != "api" && path[0] != "apis") || len(path) <= head {
		return p.next.RoundTrip(r)
	}
	if p.revision == 0 {
		if err := p.resolve(r); err != nil {
			return nil, err
		}
	}
	objects := path[head:]
	if len(objects) >= 3 && objects[0] == "namespaces" {
		head, objects = head+2, objects[2:]
	}
	past := r.Clone(r.Context())
	query := past.URL.Query()
	if len(objects) == 2 {
		query.Set("fieldSelector", "metadata.name="+objects[1])
		past.URL.Path = "/" + strings.Join(path[:head+1], "/")
	}
	if query.Get("continue") == "" {
		query.Set("resourceVersion", strconv.FormatInt(p.revision, 10))
		query.Set("resourceVersionMatch", "Exact")
	}
	past.URL.RawQuery = query.Encode()
	return p.next.RoundTrip(past)
}

func (p *pastReader) resolve(r *http.Request) error {
	client, err := discovery.NewDiscoveryClientForConfig(p.present)
	if err != nil {
		return err
	}
	p.revision, err = revisionOf(r.Context(), client.RESTClient(), p.at)
	return err
}
