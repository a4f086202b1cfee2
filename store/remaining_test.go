package store

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/storage"
)

// What remains is the same whether it is counted or remembered, and although other
// lists are under way and objects come and go.
func TestRemainingOfPages(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r := configMaps(t, openStore(t, Options{}))
	const objects = 23
	fill(t, r, objects)
	for _, forget := range []bool{false, true} {
		left, next := int64(objects), ""
		for left > 0 {
			opts := storage.ListOptions{Recursive: true, Predicate: storage.Everything}
			opts.Predicate.Limit, opts.Predicate.Continue = 5, next
			list := &corev1.ConfigMapList{}
			if err := r.GetList(ctx, "/configmaps", opts, list); err != nil {
				t.Fatal(err)
			}
			left -= int64(len(list.Items))
			var told int64
			if list.RemainingItemCount != nil {
				told = *list.RemainingItemCount
			}
			if told != left {
				t.Fatalf("after %q %d remain, told are %d", next, left, told)
			}
			next = list.Continue
			if forget {
				r.remaining = remaining{}
			}
			extra := configMap("extra")
			if err := r.Create(ctx, "/configmaps/default/extra", extra, nil, 0); err != nil {
				t.Fatal(err)
			}
			if err := r.Delete(ctx, "/configmaps/default/extra", &corev1.ConfigMap{}, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
}
