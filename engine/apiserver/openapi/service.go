package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/munnerz/goautoneg"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/handler3"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

const (
	v2Proto           = "com.github.proto-openapi.spec.v2.v1.0+protobuf"
	v2ProtoDeprecated = "com.github.proto-openapi.spec.v2@v1.0+protobuf"
	v3Proto           = "com.github.proto-openapi.spec.v3.v1.0+protobuf"
	v3ProtoDeprecated = "com.github.proto-openapi.spec.v3@v1.0+protobuf"
)

// Service answers under /openapi. CustomV2 and CustomV3 hold what custom
// resources publish; apiextensions' OpenAPI controllers write to them.
type Service struct {
	CustomV2 *handler.OpenAPIService
	CustomV3 *handler3.OpenAPIService

	index   Index
	started time.Time
	v3mux   *http.ServeMux
	v2mux   *http.ServeMux

	// extensions are replaced as a whole, never changed.
	extensions struct {
		sync.Mutex
		byName map[string]*Extension
	}
}

// New reads the index of the embedded documents.
func New() (*Service, error) {
	index, err := readIndex()
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI index (run `task gen`): %w", err)
	}
	s := &Service{
		CustomV2: handler.NewOpenAPIService(EmptySwagger()),
		CustomV3: handler3.NewOpenAPIService(),
		index:    index,
		started:  time.Now(),
		v2mux:    http.NewServeMux(),
		v3mux:    http.NewServeMux(),
	}
	s.CustomV2.RegisterOpenAPIVersionedService("/openapi/v2", s.v2mux)
	err = s.CustomV3.RegisterOpenAPIV3VersionedService("/openapi/v3", muxPrefixes{s.v3mux})
	return s, err
}

// EmptySwagger is a v2 document without paths or definitions, to which the
// custom resources' are added.
func EmptySwagger() *spec.Swagger {
	return &spec.Swagger{SwaggerProps: spec.SwaggerProps{
		Swagger:     "2.0",
		Definitions: spec.Definitions{},
		Paths:       &spec.Paths{Paths: map[string]spec.PathItem{}},
		Info:        &spec.Info{InfoProps: spec.InfoProps{Title: "Kubernetes", Version: "v1"}},
	}}
}

type muxPrefixes struct{ *http.ServeMux }

func (m muxPrefixes) HandlePrefix(path string, h http.Handler) { m.Handle(path, h) }

// ServeHTTP serves /openapi/v2, /openapi/v3 and /openapi/v3/<group version>.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == "/openapi/v2":
		s.serveV2(w, r)
	case path == "/openapi/v3" || path == "/openapi/v3/":
		s.serveV3Index(w, r)
	case strings.HasPrefix(path, "/openapi/v3/"):
		s.serveV3(w, r, strings.TrimPrefix(path, "/openapi/v3/"))
	default:
		http.NotFound(w, r)
	}
}

// negotiate picks the first acceptable of the offered subtypes of application/.
func negotiate(r *http.Request, offered ...string) string {
	accept := r.Header.Get("Accept")
	if accept == "" {
		accept = "*/*"
	}
	for _, clause := range goautoneg.ParseAccept(accept) {
		if clause.Type != "application" && clause.Type != "*" {
			continue
		}
		for _, sub := range offered {
			if clause.SubType == sub || clause.SubType == "*" {
				return sub
			}
		}
	}
	return ""
}

func (s *Service) serveV2(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
	more, err := s.additions()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	var doc []byte
	var etag string
	contentType := "application/json"
	switch negotiate(r, "json", v2Proto, v2ProtoDeprecated) {
	case "json":
		doc, etag, err = s.v2JSON(more)
	case v2Proto, v2ProtoDeprecated:
		contentType = "application/" + v2Proto
		doc, etag, err = s.v2Proto(more)
	default:
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Etag", strconv.Quote(etag))
	http.ServeContent(w, r, "", s.started, bytes.NewReader(doc))
}

// swaggerParts is the part of a v2 document in which two of them differ.
type swaggerParts struct {
	Definitions map[string]json.RawMessage `json:"definitions"`
	Parameters  map[string]json.RawMessage `json:"parameters"`
	Paths       map[string]json.RawMessage `json:"paths"`
}

// additions are what is served beyond the built-in kinds.
type additions struct {
	custom     *swaggerParts // nil if there are no custom resources
	extensions []*Extension
}

// additions returns nil if there are none.
func (s *Service) additions() (*additions, error) {
	doc := fetch(s.v2mux, "/openapi/v2")
	more := &additions{custom: &swaggerParts{}, extensions: s.extensionList()}
	if err := json.Unmarshal(doc, more.custom); err != nil {
		return nil, fmt.Errorf("read the custom resources' OpenAPI: %w", err)
	}
	if len(more.custom.Paths) == 0 {
		more.custom = nil
		if len(more.extensions) == 0 {
			return nil, nil
		}
	}
	return more, nil
}

func (s *Service) v2JSON(more *additions) ([]byte, string, error) {
	doc, err := readGzip(V2JSONFile)
	if err != nil || more == nil {
		return doc, s.index.V2, err
	}
	var whole map[string]json.RawMessage
	var parts swaggerParts
	if err := json.Unmarshal(doc, &whole); err != nil {
		return nil, "", err
	}
	if err := json.Unmarshal(doc, &parts); err != nil {
		return nil, "", err
	}
	parts.add(more.custom)
	if err := parts.addExtensions(more.extensions); err != nil {
		return nil, "", err
	}
	for name, part := range map[string]map[string]json.RawMessage{
		"definitions": parts.Definitions, "parameters": parts.Parameters, "paths": parts.Paths,
	} {
		if whole[name], err = json.Marshal(part); err != nil {
			return nil, "", err
		}
	}
	doc, err = json.Marshal(whole)
	return doc, Hash(doc), err
}

// add takes over what it does not have.
func (parts *swaggerParts) add(further *swaggerParts) {
	if parts.Parameters == nil {
		parts.Parameters = map[string]json.RawMessage{}
	}
	if further == nil {
		return
	}
	for _, part := range []struct{ into, from map[string]json.RawMessage }{
		{parts.Definitions, further.Definitions}, {parts.Parameters, further.Parameters}, {parts.Paths, further.Paths},
	} {
		for k, v := range part.from {
			if _, ok := part.into[k]; !ok {
				part.into[k] = v
			}
		}
	}
}

func (s *Service) v2Proto(more *additions) ([]byte, string, error) {
	if more == nil {
		doc, err := readGzip(V2ProtoFile)
		return doc, s.index.V2, err
	}
	doc, etag, err := s.v2JSON(more)
	if err != nil {
		return nil, "", err
	}
	doc, err = handler.ToProtoBinary(doc)
	return doc, etag, err
}

func v3URL(group, hash string) string {
	u := url.URL{Path: "/openapi/v3/" + group, RawQuery: url.Values{"hash": {hash}}.Encode()}
	return u.String()
}

func (s *Service) serveV3Index(w http.ResponseWriter, r *http.Request) {
	var discovery handler3.OpenAPIV3Discovery
	if err := json.Unmarshal(fetch(s.v3mux, "/openapi/v3"), &discovery); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for _, x := range s.extensionList() {
		for group, path := range x.V3.Paths {
			if _, ok := discovery.Paths[group]; !ok {
				discovery.Paths[group] = path
			}
		}
	}
	for group, hash := range s.index.V3 {
		discovery.Paths[group] = handler3.OpenAPIV3DiscoveryGroupVersion{ServerRelativeURL: v3URL(group, hash)}
	}
	doc, err := json.Marshal(discovery)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Etag", strconv.Quote(Hash(doc)))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(doc))
}

func (s *Service) serveV3(w http.ResponseWriter, r *http.Request, group string) {
	etag, ok := s.index.V3[group]
	if !ok {
		s.serveCustomV3(w, r)
		return
	}
	w.Header().Set("Vary", "Accept")
	contentType := "application/json"
	format := negotiate(r, "json", v3Proto, v3ProtoDeprecated)
	if format == "" {
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	if hash := r.URL.Query().Get("hash"); hash != "" {
		if hash != etag {
			http.Redirect(w, r, v3URL(group, etag), http.StatusMovedPermanently)
			return
		}
		w.Header().Set("Cache-Control", "public, immutable")
		w.Header().Set("Expires", time.Now().AddDate(1, 0, 0).Format(time.RFC1123))
	}
	doc, err := readGzip(V3File(group))
	if err == nil && format != "json" {
		contentType = "application/" + v3Proto
		doc, err = handler3.ToV3ProtoBinary(doc)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Etag", strconv.Quote(etag))
	http.ServeContent(w, r, "", s.started, bytes.NewReader(doc))
}

// serveCustomV3 asks the custom resources' service, which answers nothing at all
// for a group it does not know, then extension servers.
func (s *Service) serveCustomV3(w http.ResponseWriter, r *http.Request) {
	group := strings.TrimPrefix(r.URL.Path, "/openapi/v3/")
	var discovery handler3.OpenAPIV3Discovery
	if err := json.Unmarshal(fetch(s.v3mux, "/openapi/v3"), &discovery); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if _, ok := discovery.Paths[group]; ok {
		s.v3mux.ServeHTTP(w, r)
		return
	}
	if x, ok := s.extensionV3(group); ok {
		x.V3Handler.ServeHTTP(w, r)
		return
	}
	http.NotFound(w, r)
}

// fetch returns the body of an in-memory GET.
func fetch(h http.Handler, path string) []byte {
	w := &buffer{header: http.Header{}}
	h.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}, Header: http.Header{}})
	return w.Bytes()
}

// buffer is a ResponseWriter that keeps the body.
type buffer struct {
	bytes.Buffer
	header http.Header
}

func (b *buffer) Header() http.Header { return b.header }
func (b *buffer) WriteHeader(int)     {}
