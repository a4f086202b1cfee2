package api

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

func pages() suite.Case {
	return suite.Case{
		Name:    "api/pages",
		Promise: "a paged list is one consistent snapshot, whatever is written between its pages",
		Run: func(ctx context.Context, e *suite.Env) error {
			api := e.Kube.CoreV1().Secrets(e.Namespace)
			for i := range 25 {
				s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("s%02d", i)}}
				if _, err := api.Create(ctx, s, metav1.CreateOptions{}); err != nil {
					return err
				}
			}
			seen, version, token := map[string]bool{}, "", ""
			for page := 0; ; page++ {
				list, err := api.List(ctx, metav1.ListOptions{Limit: 10, Continue: token})
				if err != nil {
					return err
				}
				if page == 0 {
					version = list.ResourceVersion
					if list.RemainingItemCount == nil || *list.RemainingItemCount != 15 {
						return fmt.Errorf("remainingItemCount is %v, want 15", list.RemainingItemCount)
					}
					// Written after the snapshot: neither may show.
					if err := api.Delete(ctx, "s24", metav1.DeleteOptions{}); err != nil {
						return err
					}
					late := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s15-late"}}
					if _, err := api.Create(ctx, late, metav1.CreateOptions{}); err != nil {
						return err
					}
				}
				if list.ResourceVersion != version {
					return fmt.Errorf("page %d is of resourceVersion %s, the first was %s", page, list.ResourceVersion, version)
				}
				for _, s := range list.Items {
					seen[s.Name] = true
				}
				if token = list.Continue; token == "" {
					break
				}
			}
			if len(seen) != 25 || !seen["s24"] || seen["s15-late"] {
				return fmt.Errorf("saw %d secrets (deleted one: %v, late one: %v), want the 25 of the snapshot", len(seen), seen["s24"], seen["s15-late"])
			}
			return nil
		},
	}
}
