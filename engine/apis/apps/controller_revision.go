package apps

import (
	"context"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func controllerRevisions() apis.Resource {
	rules := apis.TypedRules[*appsv1.ControllerRevision]{
		Validate: func(_ context.Context, r *appsv1.ControllerRevision) field.ErrorList {
			errs := apis.ValidateMeta(&r.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
			return append(errs, validateRevision(r)...)
		},
		ValidateUpdate: func(_ context.Context, r, old *appsv1.ControllerRevision) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metadata)
			errs = append(errs, validateRevision(r)...)
			return append(errs, validation.ValidateImmutableField(r.Data, old.Data, field.NewPath("data"))...)
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("ControllerRevision"), Plural: "controllerrevisions", Singular: "controllerrevision", Namespaced: true,
		New:     func() runtime.Object { return &appsv1.ControllerRevision{} },
		NewList: func() runtime.Object { return &appsv1.ControllerRevisionList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Controller", "The object the revision is of.", revisionOwner),
			apis.Number("Revision", "The number of the revision.", func(r *appsv1.ControllerRevision) int64 { return r.Revision }).AsText(),
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

func validateRevision(r *appsv1.ControllerRevision) field.ErrorList {
	var errs field.ErrorList
	if len(r.Data.Raw) == 0 && r.Data.Object == nil {
		errs = append(errs, field.Required(field.NewPath("data"), "data is mandatory"))
	}
	return append(errs, validation.ValidateNonnegativeField(r.Revision, field.NewPath("revision"))...)
}
