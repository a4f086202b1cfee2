// Package bootstrap owns what a cluster holds before anybody writes to it: the
// namespaces, the default roles and bindings under their published names, the
// priority classes and the kubernetes Service. The contents are tables; Ensure
// writes what is missing through the API and never takes anything away.
package bootstrap
