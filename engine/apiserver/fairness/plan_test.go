package fairness

import (
	"slices"
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/util/flowcontrol/request"
)

// stored is what a server holds once the plan for nothing was executed.
func stored[T object](all []defaultObject[T]) map[string]T {
	have := map[string]T{}
	for _, d := range all {
		obj := d.want.DeepCopyObject().(T)
		obj.SetGeneration(1)
		have[obj.GetName()] = obj
	}
	return have
}

func TestEverythingIsMissingAtFirst(t *testing.T) {
	scheme := runtime.NewScheme()
	levels, schemas := priorityLevels(scheme), flowSchemas(scheme)
	if p := planFor(nil, levels, levelSpec); len(p.create) != len(levels) || len(p.update)+len(p.remove) != 0 {
		t.Errorf("levels: %d created of %d", len(p.create), len(levels))
	}
	if p := planFor(nil, schemas, schemaSpec); len(p.create) != len(schemas) || len(p.update)+len(p.remove) != 0 {
		t.Errorf("schemas: %d created of %d", len(p.create), len(schemas))
	}
	if p := planFor(stored(schemas), schemas, schemaSpec); len(p.create)+len(p.update)+len(p.remove) != 0 {
		t.Errorf("a second plan is not empty: %+v", p)
	}
	if p := planFor(stored(levels), levels, levelSpec); len(p.create)+len(p.update)+len(p.remove) != 0 {
		t.Errorf("a second plan is not empty: %+v", p)
	}
}

func TestWhatOthersChange(t *testing.T) {
	const annotation = flowcontrolv1.AutoUpdateAnnotationKey
	all := flowSchemas(runtime.NewScheme())
	for name, tc := range map[string]struct {
		change    func(map[string]*flowcontrolv1.FlowSchema)
		created   []string
		updated   []string // with the default spec again
		annotated []string // with another annotation alone
		removed   []string
	}{
		"a mandatory one is put back": {
			change:  func(m map[string]*flowcontrolv1.FlowSchema) { m["catch-all"].Spec.MatchingPrecedence = 7 },
			updated: []string{"catch-all"},
		},
		"a mandatory one cannot be protected": {
			change: func(m map[string]*flowcontrolv1.FlowSchema) {
				m["catch-all"].Spec.MatchingPrecedence, m["catch-all"].Annotations = 7, map[string]string{annotation: "false"}
			},
			updated: []string{"catch-all"},
		},
		"a suggested one is put back while the annotation says so": {
			change:  func(m map[string]*flowcontrolv1.FlowSchema) { m["service-accounts"].Spec.MatchingPrecedence = 7 },
			updated: []string{"service-accounts"},
		},
		"a suggested one can be protected": {
			change: func(m map[string]*flowcontrolv1.FlowSchema) {
				m["service-accounts"].Spec.MatchingPrecedence, m["service-accounts"].Annotations[annotation] = 7, "false"
			},
		},
		"without annotation, one that was changed is its owner's": {
			change: func(m map[string]*flowcontrolv1.FlowSchema) {
				m["service-accounts"].Generation, m["service-accounts"].Annotations = 2, nil
			},
			annotated: []string{"service-accounts"},
		},
		"without annotation, one that was never changed is ours": {
			change: func(m map[string]*flowcontrolv1.FlowSchema) {
				m["service-accounts"].Annotations, m["service-accounts"].Spec.MatchingPrecedence = nil, 7
			},
			updated: []string{"service-accounts"},
		},
		"a deleted one comes back": {
			change:  func(m map[string]*flowcontrolv1.FlowSchema) { delete(m, "exempt"); delete(m, "probes") },
			created: []string{"exempt", "probes"},
		},
		"leftovers of other versions go, others' stay": {
			change: func(m map[string]*flowcontrolv1.FlowSchema) {
				for n, v := range map[string]string{"old": "true", "kept": "false"} {
					m[n] = &flowcontrolv1.FlowSchema{ObjectMeta: metav1.ObjectMeta{Name: n, Annotations: map[string]string{annotation: v}}}
				}
				m["mine"] = &flowcontrolv1.FlowSchema{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}
			},
			removed: []string{"old"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			have := stored(all)
			tc.change(have)
			p := planFor(have, all, schemaSpec)
			var created, updated, annotated []string
			for _, obj := range p.create {
				created = append(created, obj.Name)
			}
			for _, obj := range p.update {
				i := slices.IndexFunc(all, func(d defaultObject[*flowcontrolv1.FlowSchema]) bool { return d.want.Name == obj.Name })
				if equality.Semantic.DeepEqual(obj.Spec, have[obj.Name].Spec) {
					annotated = append(annotated, obj.Name)
				} else if equality.Semantic.DeepEqual(obj.Spec, all[i].want.Spec) && obj.Annotations[annotation] == "true" {
					updated = append(updated, obj.Name)
				}
			}
			slices.Sort(created)
			if !slices.Equal(created, tc.created) || !slices.Equal(updated, tc.updated) || !slices.Equal(annotated, tc.annotated) || !slices.Equal(p.remove, tc.removed) {
				t.Errorf("created %v, updated %v, annotated %v, removed %v", created, updated, annotated, p.remove)
			}
		})
	}
}

func TestTheSharesOfTheExemptLevelAreFree(t *testing.T) {
	all := priorityLevels(runtime.NewScheme())
	have, shares := stored(all), int32(40)
	have["exempt"].Spec.Exempt = &flowcontrolv1.ExemptPriorityLevelConfiguration{NominalConcurrencyShares: &shares}
	if p := planFor(have, all, levelSpec); len(p.update) != 0 {
		t.Error("they were put back")
	}
	have["exempt"].Spec.Exempt = nil
	if p := planFor(have, all, levelSpec); len(p.update) != 1 {
		t.Error("a level that is not exempt any more stays so")
	}
}

func TestCounts(t *testing.T) {
	counts := Counts(func(gr schema.GroupResource) (storage.Stats, bool) {
		return storage.Stats{ObjectCount: 3}, gr == schema.GroupResource{Group: "apps", Resource: "deployments"}
	})
	if stats, err := counts.Get("deployments.apps"); err != nil || stats.ObjectCount != 3 {
		t.Errorf("%v %v", stats, err)
	}
	if _, err := counts.Get("pods"); err != request.ObjectCountNotFoundErr {
		t.Error(err)
	}
}
