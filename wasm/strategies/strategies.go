// Package strategies carries the compiled built-in modules. It owns no code of
// theirs: the sources are its sub-packages, which also compile natively.
package strategies

import "embed"

//go:embed modules
var modules embed.FS

// Module returns the compiled built-in of this name ("scheduling",
// "autoscaling"), false if it
// was not compiled when this binary was built.
func Module(name string) ([]byte, bool) {
	b, err := modules.ReadFile("modules/" + name + ".wasm")
	return b, err == nil
}
