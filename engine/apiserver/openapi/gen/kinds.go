//go:build gen

package main

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

const kindsExtension = "x-kubernetes-group-version-kind"

// unserved are the published groups that neither we nor client-go register; an
// API server names them all in DeleteOptions and WatchEvent.
var unserved = []schema.GroupVersion{
	{Group: "admission.k8s.io", Version: "v1"},
	{Group: "admission.k8s.io", Version: "v1beta1"},
	{Group: "imagepolicy.k8s.io", Version: "v1alpha1"},
	{Group: "lifecycle.k8s.io", Version: "v1alpha1"},
}

// publishedGroups names the meta kinds of every published group and version.
func publishedGroups() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, gv := range append(scheme.Scheme.PrioritizedVersionsAllGroups(), unserved...) {
		metav1.AddToGroupVersion(s, gv)
	}
	return s
}

// keepKinds drops the group, version, kind triples that keep refuses.
func keepKinds(extensions spec.Extensions, keep func(group, version, kind string) bool) {
	kinds, ok := extensions[kindsExtension].([]any)
	if !ok {
		return
	}
	kept := kinds[:0:0]
	for _, k := range kinds {
		gvk, ok := k.(map[string]any)
		if !ok {
			continue
		}
		group, _ := gvk["group"].(string)
		version, _ := gvk["version"].(string)
		kind, _ := gvk["kind"].(string)
		if keep(group, version, kind) {
			kept = append(kept, k)
		}
	}
	extensions[kindsExtension] = kept
}

// public drops the internal version, which clients never see.
func public(_, version, _ string) bool { return version != runtime.APIVersionInternal }

// scoped also drops, from the kinds every group registers, those of groups other
// than core and the one that is served at path.
func scoped(path string) func(group, version, kind string) bool {
	parts := strings.Split(path, "/")
	own := schema.GroupVersion{Version: parts[len(parts)-1]}
	if len(parts) == 3 {
		own.Group = parts[1]
	}
	return func(group, version, kind string) bool {
		if kind == "WatchEvent" || kind == "DeleteOptions" {
			gv := schema.GroupVersion{Group: group, Version: version}
			return gv == own || gv == schema.GroupVersion{Version: "v1"}
		}
		return public(group, version, kind)
	}
}
