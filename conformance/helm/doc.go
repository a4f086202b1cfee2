// Package helm holds the test that Helm, as it is published, works against the
// built binary. Helm is built from its own module, tool, so that its dependencies
// stay out of the product's.
package helm
