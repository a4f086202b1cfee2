package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"k8s.io/kube-openapi/pkg/aggregator"
	"k8s.io/kube-openapi/pkg/handler3"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Extension is what an extension server publishes of a group version.
type Extension struct {
	// V2 is its version 2 document, reduced to the group version; nil if it has none.
	V2 *spec.Swagger
	// V3 lists its version 3 documents; V3Handler serves them.
	V3        handler3.OpenAPIV3Discovery
	V3Handler http.Handler
}

// SetExtension publishes an extension server's documents beside our own until they
// are removed: by name, that of its APIService.
func (s *Service) SetExtension(name string, x *Extension) {
	s.extensions.Lock()
	defer s.extensions.Unlock()
	next := maps.Clone(s.extensions.byName)
	if next == nil {
		next = map[string]*Extension{}
	}
	next[name] = x
	s.extensions.byName = next
}

// RemoveExtension forgets an extension server's documents.
func (s *Service) RemoveExtension(name string) {
	s.extensions.Lock()
	defer s.extensions.Unlock()
	next := maps.Clone(s.extensions.byName)
	delete(next, name)
	s.extensions.byName = next
}

// extensionList returns the extensions by name; earlier ones win conflicts.
func (s *Service) extensionList() []*Extension {
	s.extensions.Lock()
	byName := s.extensions.byName
	s.extensions.Unlock()
	var out []*Extension
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out
}

// extensionV3 finds the extension that has a version 3 document.
func (s *Service) extensionV3(group string) (*Extension, bool) {
	for _, x := range s.extensionList() {
		if _, ok := x.V3.Paths[group]; ok {
			return x, true
		}
	}
	return nil, false
}

// addExtensions merges the extensions' documents into the parts of another. A
// definition whose name means something else there is renamed, as upstream's
// aggregator does.
func (parts *swaggerParts) addExtensions(extensions []*Extension) error {
	for _, x := range extensions {
		if x.V2 == nil {
			continue
		}
		merged, err := parts.common(x.V2)
		if err != nil {
			return err
		}
		if err := aggregator.MergeSpecsIgnorePathConflictRenamingDefinitionsAndParameters(merged, x.V2); err != nil {
			return fmt.Errorf("merge an extension server's OpenAPI: %w", err)
		}
		doc, err := json.Marshal(merged)
		if err != nil {
			return err
		}
		var further swaggerParts
		if err := json.Unmarshal(doc, &further); err != nil {
			return err
		}
		maps.Copy(parts.Definitions, further.Definitions)
		maps.Copy(parts.Parameters, further.Parameters)
		for path, item := range further.Paths {
			if _, ok := parts.Paths[path]; !ok {
				parts.Paths[path] = item
			}
		}
	}
	return nil
}

// common is a document of those definitions and parameters whose names another
// document, x, may use for something else: all others need not be decoded.
func (parts *swaggerParts) common(x *spec.Swagger) (*spec.Swagger, error) {
	shared := EmptySwagger()
	shared.Parameters = map[string]spec.Parameter{}
	for name, raw := range parts.Definitions {
		if !uses(x.Definitions, name) {
			continue
		}
		var schema spec.Schema
		if err := json.Unmarshal(raw, &schema); err != nil {
			return nil, fmt.Errorf("definition %s: %w", name, err)
		}
		shared.Definitions[name] = schema
	}
	for name, raw := range parts.Parameters {
		if _, ok := x.Parameters[name]; !ok {
			continue
		}
		var parameter spec.Parameter
		if err := json.Unmarshal(raw, &parameter); err != nil {
			return nil, fmt.Errorf("parameter %s: %w", name, err)
		}
		shared.Parameters[name] = parameter
	}
	return shared, nil
}

// uses reports whether a definition, or the one it was renamed from, is among some.
func uses(definitions spec.Definitions, name string) bool {
	if _, ok := definitions[name]; ok {
		return true
	}
	if i := strings.LastIndex(name, "_v"); i > 0 {
		_, ok := definitions[name[:i]]
		return ok
	}
	return false
}
