// Package manifests holds the example application's objects.
package manifests

import _ "embed"

// Demo is every object of the example, as YAML documents.
//
//go:embed demo.yaml
var Demo []byte
