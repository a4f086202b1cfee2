//go:build gen

// Command gen builds the OpenAPI documents of every built-in kind from the
// routes the API server installs and the definitions openapi-gen derives from
// the Go types, and writes them compressed into the directory it is given.
// `task gen` runs it; equal input gives equal bytes.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apimachinery/pkg/runtime"
	apiopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kube-openapi/pkg/builder"
	"k8s.io/kube-openapi/pkg/builder3"
	"k8s.io/kube-openapi/pkg/common/restfuladapter"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/pintle-io/pintle/engine/apiserver/openapi"
	"github.com/pintle-io/pintle/engine/apiserver/openapi/gen/definitions"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	schemes, services, err := routes()
	if err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.gz"))
	if err != nil {
		return err
	}
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	index := openapi.Index{V3: map[string]string{}}
	if index.V2, err = writeV2(dir, schemes, services); err != nil {
		return fmt.Errorf("v2: %w", err)
	}
	for _, ws := range services {
		group := ws.RootPath()[1:]
		if index.V3[group], err = writeV3(dir, group, schemes, ws); err != nil {
			return fmt.Errorf("v3 %s: %w", group, err)
		}
	}
	doc, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, openapi.IndexFile), append(doc, '\n'), 0o644)
}

// info is what a v1.37 API server says of itself in its documents: the version whose
// behaviour it shows, without the patch.
func info() *spec.Info {
	return &spec.Info{InfoProps: spec.InfoProps{Title: "Kubernetes", Version: "1.37"}}
}

const unauthorized = "Unauthorized"

var securityDefinition = &spec.SecurityScheme{SecuritySchemeProps: spec.SecuritySchemeProps{
	Type: "apiKey", Name: "authorization", In: "header", Description: "Bearer Token authentication",
}}

func writeV2(dir string, schemes []*runtime.Scheme, services []*restful.WebService) (string, error) {
	config := genericapiserver.DefaultOpenAPIConfig(definitions.GetOpenAPIDefinitions, apiopenapi.NewDefinitionNamer(schemes...))
	config.Info = info()
	config.SecurityDefinitions = &spec.SecurityDefinitions{"BearerToken": securityDefinition}
	config.DefaultSecurity = []map[string][]string{{"BearerToken": {}}}
	config.CommonResponses = map[int]spec.Response{http.StatusUnauthorized: {ResponseProps: spec.ResponseProps{Description: unauthorized}}}
	swagger, err := builder.BuildOpenAPISpecFromRoutes(restfuladapter.AdaptWebServices(services), config)
	if err != nil {
		return "", err
	}
	swagger.Definitions = handler.PruneDefaults(swagger.Definitions)
	for _, d := range swagger.Definitions {
		keepKinds(d.Extensions, public)
	}
	doc, err := swagger.MarshalJSON()
	if err != nil {
		return "", err
	}
	proto, err := handler.ToProtoBinary(doc)
	if err != nil {
		return "", err
	}
	if err := writeGzip(dir, openapi.V2ProtoFile, proto); err != nil {
		return "", err
	}
	return openapi.Hash(doc), writeGzip(dir, openapi.V2JSONFile, doc)
}

func writeV3(dir, group string, schemes []*runtime.Scheme, ws *restful.WebService) (string, error) {
	config := genericapiserver.DefaultOpenAPIV3Config(definitions.GetOpenAPIDefinitions, apiopenapi.NewDefinitionNamer(schemes...))
	config.Info = info()
	config.SecuritySchemes = spec3.SecuritySchemes{"BearerToken": &spec3.SecurityScheme{SecuritySchemeProps: spec3.SecuritySchemeProps{
		Type: "apiKey", Name: "authorization", In: "header", Description: "Bearer Token authentication",
	}}}
	config.DefaultSecurity = []map[string][]string{{"BearerToken": {}}}
	config.CommonResponses = map[int]*spec3.Response{http.StatusUnauthorized: {ResponseProps: spec3.ResponseProps{Description: unauthorized}}}
	document, err := builder3.BuildOpenAPISpecFromRoutes(restfuladapter.AdaptWebServices([]*restful.WebService{ws}), config)
	if err != nil {
		return "", err
	}
	if document.Components != nil {
		for _, d := range document.Components.Schemas {
			keepKinds(d.Extensions, scoped(group))
		}
	}
	doc, err := json.Marshal(document)
	if err != nil {
		return "", err
	}
	return openapi.Hash(doc), writeGzip(dir, openapi.V3File(group), doc)
}

func writeGzip(dir, name string, doc []byte) error {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(doc); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), buf.Bytes(), 0o644)
}
