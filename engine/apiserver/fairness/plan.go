package fairness

import (
	"strconv"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
)

// defaultObject is one of the objects that are always there. Those that are
// mandatory are put back as they were; of the others, only those that nobody changed.
type defaultObject[T object] struct {
	want      T
	mandatory bool
}

func priorityLevels(scheme *runtime.Scheme) []defaultObject[*flowcontrolv1.PriorityLevelConfiguration] {
	return defaults(scheme, bootstrap.SuggestedPriorityLevelConfigurations, bootstrap.MandatoryPriorityLevelConfigurations)
}

func flowSchemas(scheme *runtime.Scheme) []defaultObject[*flowcontrolv1.FlowSchema] {
	return defaults(scheme, bootstrap.SuggestedFlowSchemas, bootstrap.MandatoryFlowSchemas)
}

func defaults[T object](scheme *runtime.Scheme, suggested, mandatory []T) []defaultObject[T] {
	var out []defaultObject[T]
	for i, list := range [][]T{suggested, mandatory} {
		for _, obj := range list {
			want := obj.DeepCopyObject().(T)
			scheme.Default(want)
			out = append(out, defaultObject[T]{want: want, mandatory: i == 1})
		}
	}
	return out
}

// plan is what to write so that the defaults are there as they should be.
type plan[T object] struct {
	create, update []T
	remove         []string
}

// planFor compares what is there with the defaults. spec sets and compares the part
// of an object that is maintained.
func planFor[T object](have map[string]T, all []defaultObject[T], spec specOf[T]) plan[T] {
	var out plan[T]
	wanted := map[string]bool{}
	for _, d := range all {
		name := d.want.GetName()
		wanted[name] = true
		current, ok := have[name]
		if !ok {
			out.create = append(out.create, d.want)
			continue
		}
		if next, changed := revise(current, d, spec); changed {
			out.update = append(out.update, next)
		}
	}
	for name, obj := range have {
		if !wanted[name] && obj.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey] == "true" {
			out.remove = append(out.remove, name)
		}
	}
	return out
}

// revise returns current as it should be. The annotation tells, for each object,
// whether its spec is kept up to date here.
func revise[T object](current T, d defaultObject[T], spec specOf[T]) (T, bool) {
	maintained := d.mandatory || maintainedHere(current)
	stale := maintained && !spec.same(d.want, current)
	annotation := strconv.FormatBool(maintained)
	if !stale && current.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey] == annotation {
		return current, false
	}
	next := current.DeepCopyObject().(T)
	if stale {
		spec.set(next, d.want)
	}
	annotations := next.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[flowcontrolv1.AutoUpdateAnnotationKey] = annotation
	next.SetAnnotations(annotations)
	return next, true
}

// maintainedHere: the annotation decides; without one, an object whose spec nobody
// ever changed is ours.
func maintainedHere(obj object) bool {
	if value, err := strconv.ParseBool(obj.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey]); err == nil {
		return value
	}
	return obj.GetGeneration() == 1
}

// specOf compares and replaces the specs of a kind.
type specOf[T object] struct {
	same func(want, have T) bool
	set  func(into, from T)
}

var schemaSpec = specOf[*flowcontrolv1.FlowSchema]{
	same: func(want, have *flowcontrolv1.FlowSchema) bool {
		return equality.Semantic.DeepEqual(want.Spec, have.Spec)
	},
	set: func(into, from *flowcontrolv1.FlowSchema) { into.Spec = *from.Spec.DeepCopy() },
}

var levelSpec = specOf[*flowcontrolv1.PriorityLevelConfiguration]{
	same: func(want, have *flowcontrolv1.PriorityLevelConfiguration) bool {
		if want.Name == flowcontrolv1.PriorityLevelConfigurationNameExempt {
			// Its shares are for the administrator to choose.
			return have.Spec.Exempt != nil && have.Spec.Type == want.Spec.Type && have.Spec.Limited == nil
		}
		return equality.Semantic.DeepEqual(want.Spec, have.Spec)
	},
	set: func(into, from *flowcontrolv1.PriorityLevelConfiguration) { into.Spec = *from.Spec.DeepCopy() },
}
