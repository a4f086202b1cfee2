package custom

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pintle-io/pintle/conformance/suite"
)

func documents() suite.Case {
	return suite.Case{
		Name:    "custom/documents",
		Promise: "what is defined is in both OpenAPI documents while it is there, with upstream's paths and definitions",
		Run: func(ctx context.Context, e *suite.Env) error {
			remove, err := define(ctx, e, plain("documents.conformance.example", "book", "Book"))
			defer remove()
			if err != nil {
				return err
			}
			err = e.Eventually(ctx, 20*time.Second, "both documents to have books", func(ctx context.Context) (bool, string, error) {
				old, err := inV2(ctx, e)
				if err != nil {
					return false, "", err
				}
				now, err := inV3(ctx, e)
				return len(old) > 0 && now, fmt.Sprint(old, now), err
			})
			if err != nil {
				return err
			}
			got, err := inV2(ctx, e)
			if err != nil {
				return err
			}
			want := []string{
				"/apis/documents.conformance.example/v1/books",
				"/apis/documents.conformance.example/v1/namespaces/{namespace}/books",
				"/apis/documents.conformance.example/v1/namespaces/{namespace}/books/{name}",
				"example.conformance.documents.v1.Book", "example.conformance.documents.v1.BookList",
			}
			if !slices.Equal(got, want) {
				return fmt.Errorf("version 2 has %v, want %v", got, want)
			}
			remove()
			return e.Eventually(ctx, 30*time.Second, "books to leave both documents", func(ctx context.Context) (bool, string, error) {
				old, err := inV2(ctx, e)
				if err != nil {
					return false, "", err
				}
				now, err := inV3(ctx, e)
				return len(old) == 0 && !now, fmt.Sprint(old, now), err
			})
		},
	}
}

// inV2 lists paths and definitions of books.
func inV2(ctx context.Context, e *suite.Env) ([]string, error) {
	raw, err := e.Kube.Discovery().RESTClient().Get().AbsPath("/openapi/v2").SetHeader("Accept", "application/json").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var doc struct{ Paths, Definitions map[string]json.RawMessage }
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	var found []string
	for _, part := range []map[string]json.RawMessage{doc.Paths, doc.Definitions} {
		for name := range part {
			if strings.Contains(name, "documents.conformance.example/v1/") || strings.Contains(name, "conformance.documents") {
				found = append(found, name)
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

func inV3(ctx context.Context, e *suite.Env) (bool, error) {
	paths, err := e.Kube.Discovery().OpenAPIV3().Paths()
	if err != nil {
		return false, err
	}
	group, ok := paths["apis/documents.conformance.example/v1"]
	if !ok {
		return false, nil
	}
	doc, err := group.Schema("application/json")
	return strings.Contains(string(doc), `"example.conformance.documents.v1.Book"`), err
}
