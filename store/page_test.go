package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/storage"

	corev1 "k8s.io/api/core/v1"
)

// A list that is continued late goes on at the newest state, and says so; the
// history it started from can still be read.
func TestLatePageExpires(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r := configMaps(t, openStore(t, Options{PageLife: time.Millisecond}))
	fill(t, r, 3)
	opts := storage.ListOptions{Recursive: true, Predicate: storage.Everything}
	opts.Predicate.Limit = 1
	first := &corev1.ConfigMapList{}
	if err := r.GetList(ctx, "/configmaps", opts, first); err != nil {
		t.Fatal(err)
	}
	opts.Predicate.Continue = first.Continue
	var expired error
	for i := 0; expired == nil; i++ {
		if ctx.Err() != nil {
			t.Fatal("the token never expired")
		}
		name := fmt.Sprintf("later-%d", i)
		if err := r.Create(ctx, "/configmaps/default/"+name, configMap(name), nil, 0); err != nil {
			t.Fatal(err)
		}
		expired = r.GetList(ctx, "/configmaps", opts, &corev1.ConfigMapList{})
	}
	status, ok := expired.(apierrors.APIStatus)
	if !ok || !apierrors.IsResourceExpired(expired) || status.Status().Continue == "" {
		t.Fatalf("want ResourceExpired with a token, got %v", expired)
	}
	opts.Predicate.Continue = status.Status().Continue
	second := &corev1.ConfigMapList{}
	if err := r.GetList(ctx, "/configmaps", opts, second); err != nil {
		t.Fatal(err)
	}
	if second.ResourceVersion == first.ResourceVersion || len(second.Items) != 1 {
		t.Errorf("second page: %d items at %s, the first was at %s", len(second.Items), second.ResourceVersion, first.ResourceVersion)
	}
	exact := storage.ListOptions{
		Recursive: true, Predicate: storage.Everything,
		ResourceVersion: first.ResourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatchExact,
	}
	past := &corev1.ConfigMapList{}
	if err := r.GetList(ctx, "/configmaps", exact, past); err != nil || len(past.Items) != 3 {
		t.Errorf("exact read: %d items, %v", len(past.Items), err)
	}
}
