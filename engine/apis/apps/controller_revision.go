package apps

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/apis"
)

func controllerRevisions() apis.Resource {
	rules := apis.TypedRules[*appsv1.ControllerRevision]{}.Rules()
	return apis.Resource{
		GVK: kind("ControllerRevision"), Plural: "controllerrevisions", Singular: "controllerrevision", Namespaced: true,
		New:     func() runtime.Object { return &appsv1.ControllerRevision{} },
		NewList: func() runtime.Object { return &appsv1.ControllerRevisionList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Controller", "The object the revision is of.", revisionOwner),
			apis.Number("Revision", "The number of the revision.", func(r *appsv1.ControllerRevision) int64 { return r.Revision }),
			apis.AgeColumn(),
		},
	}
}

func revisionOwner(r *appsv1.ControllerRevision) string {
	owner := metav1.GetControllerOf(r)
	if owner == nil {
		return "<none>"
	}
	gv, err := schema.ParseGroupVersion(owner.APIVersion)
	if err != nil {
		return "<none>"
	}
	resource := strings.ToLower(owner.Kind)
	if gv.Group != "" {
		resource += "." + gv.Group
	}
	return resource + "/" + owner.Name
}
