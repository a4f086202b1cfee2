package robustness

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

// hostileQueries are reads that must be refused.
var hostileQueries = map[string]struct {
	query  string
	header http.Header
	code   int
	plain  bool // the answer comes from below the API and is no Status
}{
	"a label selector cut off":          {query: "labelSelector=a+in+(b", code: 400},
	"a label selector of noise":         {query: "labelSelector=!!%ff", code: 400},
	"a label selector of long values":   {query: "labelSelector=a+in+(" + strings.Repeat("x,", 10_000) + strings.Repeat("y", 10_000) + ")", code: 400},
	"a label selector of open brackets": {query: "labelSelector=" + strings.Repeat("(", 100_000), code: 400},
	"an unknown field":                  {query: "fieldSelector=data.a%3Db", code: 400},
	"100,000 bytes of fields":           {query: "fieldSelector=" + strings.Repeat("a%3Db,", 20_000), code: 400},
	"fields of backslashes":             {query: "fieldSelector=metadata.name%3D" + strings.Repeat("%5C", 30_001), code: 400},
	"a continue token of noise":         {query: "limit=1&continue=" + strings.Repeat("A", 100_000), code: 400},
	"a continue token elsewhere":        {query: "limit=1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi8uLi9zZWNyZXRzIn0", code: 400},
	"a resource version of noise":       {query: "resourceVersion=" + strings.Repeat("9", 1000), code: 400},
	"a resource version to come":        {query: "resourceVersion=9223372036854775807", code: 504},
	"an unknown match":                  {query: "resourceVersion=1&resourceVersionMatch=Sometimes", code: 422},
	"a negative limit":                  {query: "limit=-9223372036854775809", code: 400},
	"a timeout of noise":                {query: "watch=true&timeoutSeconds=soon", code: 400},
	"a token of 900,000 bytes":          {header: http.Header{"Authorization": {"Bearer " + strings.Repeat("x", 900_000)}}, code: 401},
	"a token of many dots":              {header: http.Header{"Authorization": {"Bearer " + strings.Repeat(".", 500_000)}}, code: 401},
	"a token of 1 MB":                   {header: http.Header{"Authorization": {"Bearer " + strings.Repeat("x", 1<<20)}}, code: 431, plain: true},
	"a long URL":                        {query: "x=" + strings.Repeat("y", 1<<20), code: 431, plain: true},
	"a long header":                     {header: http.Header{"X-Long": {strings.Repeat("x", 2<<20)}}, code: 431, plain: true},
	"30,000 headers":                    {header: headers(30_000), code: 431, plain: true},
	"a long Accept":                     {header: http.Header{"Accept": {strings.Repeat("a/b;q=0.1,", 20_000)}}, code: 406},
	"impersonation of nobody":           {header: http.Header{"Impersonate-Group": {"a"}}, code: 400},
}

func headers(n int) http.Header {
	h := http.Header{}
	for i := range n {
		h.Set("X-"+strconv.Itoa(i), strings.Repeat("x", 64))
	}
	return h
}

// Whatever is asked for, the answer is a Status, and nobody else notices.
func TestHostileQueries(t *testing.T) {
	s := besiege(t)
	anonymous, err := rest.HTTPClientFor(rest.AnonymousClientConfig(s.config))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range hostileQueries {
		t.Run(name, func(t *testing.T) {
			from := *s
			if test.header.Get("Authorization") != "" {
				from.http = anonymous
			}
			s.under(t, usual, func(t *testing.T) {
				a, err := from.send(t.Context(), call{method: http.MethodGet, path: mapsPath + "?" + test.query, header: test.header})
				switch {
				case test.plain && err != nil:
					// Over HTTP/2, the stream or the connection is closed.
					t.Logf("refused: %.200v", err)
				case err != nil:
					t.Fatal(err)
				case test.plain && a.code != test.code:
					t.Errorf("answered %d %.300s, want %d", a.code, a.body, test.code)
				case !test.plain:
					a.refused(t, test.code)
				}
			})
		})
	}
}

// Long selectors that are right select.
func TestLongSelectors(t *testing.T) {
	s := besiege(t)
	for name, query := range map[string]string{
		"10,000 labels":       "labelSelector=" + url.QueryEscape(strings.TrimSuffix(strings.Repeat("a=b,", 10_000), ",")),
		"a set of 10,000":     "labelSelector=" + url.QueryEscape("a in ("+many("v%d", 10_000)+")"),
		"10,000 fields":       "fieldSelector=" + url.QueryEscape(strings.TrimSuffix(strings.Repeat("metadata.name=b,", 10_000), ",")),
		"10,000 unequal keys": "labelSelector=" + url.QueryEscape(many("a%d!=b", 10_000)),
	} {
		t.Run(name, func(t *testing.T) {
			s.under(t, usual, func(t *testing.T) {
				a, err := s.send(t.Context(), call{method: http.MethodGet, path: mapsPath + "?" + query})
				if err != nil || a.code != http.StatusOK {
					t.Errorf("answered %d %.300s %v", a.code, a.body, err)
				}
			})
		})
	}
}
