// Package history keeps the ControllerRevisions of sets that roll a pod template
// out in place (StatefulSet, DaemonSet): one revision per template, numbered in
// the order in which the templates came into use. Pure functions only.
package history

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// Owner is whose history it is.
type Owner struct {
	Object     metav1.Object
	Kind       schema.GroupVersionKind
	Selector   map[string]string
	Template   *corev1.PodTemplateSpec
	Limit      *int32
	Collisions *int32
	// HashLabel names the label that marks a revision with the hash of its data:
	// each kind has its own.
	HashLabel string
}

// Sync finds the revision of the owner's template among those it has, or makes
// it, with the actions that bring the stored history up to date. In use names
// revisions that cleanup must leave.
func Sync(o Owner, revisions []*appsv1.ControllerRevision, inUse map[string]bool) (current *appsv1.ControllerRevision, actions []reconcile.Action) {
	sorted := slices.Clone(revisions)
	slices.SortFunc(sorted, func(a, b *appsv1.ControllerRevision) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	next := int64(1)
	if n := len(sorted); n > 0 {
		next = sorted[n-1].Revision + 1
	}
	fresh := o.revision(next)
	for i := len(sorted) - 1; i >= 0; i-- {
		if !same(sorted[i], fresh) {
			continue
		}
		current = sorted[i]
		if i < len(sorted)-1 { // a rollback: the old revision becomes the newest
			renumbered := current.DeepCopy()
			renumbered.Revision = next
			actions = append(actions, reconcile.Update{Object: renumbered})
			current = renumbered
		}
		break
	}
	if current == nil {
		current = fresh
		actions = append(actions, reconcile.Create{Object: fresh.DeepCopy()})
	}
	return current, append(actions, o.cleanup(sorted, current, inUse)...)
}

var resource = appsv1.SchemeGroupVersion.WithResource("controllerrevisions")

// cleanup deletes the oldest revisions that nothing uses, beyond the limit.
func (o Owner) cleanup(sorted []*appsv1.ControllerRevision, current *appsv1.ControllerRevision, inUse map[string]bool) []reconcile.Action {
	if o.Limit == nil {
		return nil
	}
	var idle []*appsv1.ControllerRevision
	for _, r := range sorted {
		if r.Name != current.Name && !inUse[r.Name] {
			idle = append(idle, r)
		}
	}
	var actions []reconcile.Action
	for _, r := range idle[:max(len(idle)-int(*o.Limit), 0)] {
		actions = append(actions, reconcile.DeleteOf(resource, r))
	}
	return actions
}

// revision makes the revision of the owner's template. Its data is a patch that
// `kubectl rollout undo` can apply.
func (o Owner) revision(number int64) *appsv1.ControllerRevision {
	raw := patch(o.Template)
	h := fnv.New32()
	_, _ = h.Write(raw)
	if o.Collisions != nil {
		fmt.Fprint(h, *o.Collisions)
	}
	hash := rand.SafeEncodeString(fmt.Sprint(h.Sum32()))
	labels := map[string]string{}
	for k, v := range o.Template.Labels {
		labels[k] = v
	}
	for k, v := range o.Selector {
		labels[k] = v
	}
	labels[o.HashLabel] = hash
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: o.Object.GetNamespace(), Name: o.Object.GetName() + "-" + hash, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(o.Object, o.Kind)},
		},
		Data:     runtime.RawExtension{Raw: raw},
		Revision: number,
	}
}

func patch(template *corev1.PodTemplateSpec) []byte {
	raw, err := json.Marshal(template)
	if err != nil {
		panic(fmt.Sprintf("history: a pod template does not encode: %v", err))
	}
	content := map[string]any{}
	if err := json.Unmarshal(raw, &content); err != nil {
		panic(fmt.Sprintf("history: a pod template does not decode: %v", err))
	}
	content["$patch"] = "replace"
	out, err := json.Marshal(map[string]any{"spec": map[string]any{"template": content}})
	if err != nil {
		panic(fmt.Sprintf("history: a patch does not encode: %v", err))
	}
	return out
}

func same(a, b *appsv1.ControllerRevision) bool {
	if bytes.Equal(a.Data.Raw, b.Data.Raw) {
		return true
	}
	x, y := Template(a), Template(b)
	return x != nil && y != nil && apiequality.Semantic.DeepEqual(x, y)
}

// Template is the pod template of a revision, nil if its data is not one of ours.
func Template(r *appsv1.ControllerRevision) *corev1.PodTemplateSpec {
	var data struct {
		Spec struct {
			Template *corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if json.Unmarshal(r.Data.Raw, &data) != nil {
		return nil
	}
	return data.Spec.Template
}
