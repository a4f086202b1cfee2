package store

import (
	"context"
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"
)

// TestFence writes while the object that guards the writes changes between the look
// at it and the commit: what no longer holds refuses the write, what still holds does
// not disturb it.
func TestFence(t *testing.T) {
	writes := map[string]func(ctx context.Context, r *Resource) error{
		"create": func(ctx context.Context, r *Resource) error {
			return r.Create(ctx, r.prefix+"ns/new", &example.Pod{ObjectMeta: metav1.ObjectMeta{Name: "new", Namespace: "ns"}}, &example.Pod{}, 0)
		},
		"update": func(ctx context.Context, r *Resource) error {
			change := storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
				obj.(*example.Pod).Spec.NodeName = "written"
				return obj, nil
			})
			return r.GuaranteedUpdate(ctx, r.prefix+"ns/old", &example.Pod{}, false, nil, change, nil)
		},
		"delete": func(ctx context.Context, r *Resource) error {
			return r.Delete(ctx, r.prefix+"ns/old", &example.Pod{}, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{})
		},
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			s := newPlace(t).open(t)
			pods, guards := resourceOf(t, s, "pods"), resourceOf(t, s, "guards")
			addPod(t, pods, "old", "")
			addPod(t, guards, "lease", "me")
			looks := 0
			// fenced changes the guard behind the back of the write's first look.
			fenced := func(next string) context.Context {
				looks = 0
				return WithFence(t.Context(), Fence{Key: guards.prefix + "ns/lease", Holds: func(obj runtime.Object) bool {
					holds := obj != nil && obj.(*example.Pod).Spec.NodeName != "other"
					if looks++; looks == 1 {
						setNode(t, guards, "lease", next)
					}
					return holds
				}})
			}
			before := s.Revision()
			if err := write(fenced("other"), pods); !errors.Is(err, ErrFenced) || looks != 2 {
				t.Errorf("replaced before the commit: %v after %d looks", err, looks)
			}
			if got := s.Revision() - before; got != 1 {
				t.Errorf("%d writes were made, want that of the guard alone", got)
			}
			if err := write(fenced("me again"), pods); !errors.Is(err, ErrFenced) || looks != 1 {
				t.Errorf("replaced before the look: %v after %d looks", err, looks)
			}
			if err := write(fenced("renewed"), pods); err != nil || looks != 2 {
				t.Errorf("renewed before the commit: %v after %d looks", err, looks)
			}
		})
	}
	t.Run("no guard", func(t *testing.T) {
		s := newPlace(t).open(t)
		pods := resourceOf(t, s, "pods")
		absent := Fence{Key: pods.prefix + "ns/lease", Holds: func(obj runtime.Object) bool { return obj != nil }}
		if err := writes["create"](WithFence(t.Context(), absent), pods); !errors.Is(err, ErrFenced) {
			t.Errorf("without the object of the fence: %v", err)
		}
	})
}
