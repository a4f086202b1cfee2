package storagemigration

import (
	"context"
	"slices"
	"time"

	migrationv1 "k8s.io/api/storagemigration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"

	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	discovery discovery.DiscoveryInterface
	metadata  metadata.Interface
}

// New builds the controller; its keys are migrations.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	const name = "storage-version-migrator-controller"
	// The server's own identity: a migration may concern any resource.
	writer := env.Client.WithFieldManager(name)
	o := &observer{discovery: writer.Clientset().Discovery(), metadata: writer.Metadata()}
	informer := env.Informers().Storagemigration().V1().StorageVersionMigrations()
	return env.Controller(reconcile.Config{
		Name: name, Writer: writer, Workers: 1,
		Watches: []reconcile.Watch{reconcile.Self[*migrationv1.StorageVersionMigration](informer.Informer())},
		Reconcile: func(ctx context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
			migration, err := informer.Lister().Get(key.Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil || Done(migration) {
				return reconcile.Result{}, err
			}
			observed := Observed{Migration: migration, Now: now}
			if err := o.observe(ctx, &observed); err != nil {
				return reconcile.Result{}, err
			}
			return Plan(observed), nil
		},
	})
}

func (o *observer) observe(ctx context.Context, observed *Observed) error {
	lists, err := o.discovery.ServerPreferredResources()
	if err != nil && len(lists) == 0 {
		return err
	}
	want := observed.Migration.Spec.Resource
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil || gv.Group != want.Group {
			continue
		}
		for _, r := range list.APIResources {
			if r.Name != want.Resource {
				continue
			}
			gvr := gv.WithResource(r.Name)
			observed.Resource = &gvr
			observed.Migratable = true
			for _, verb := range []string{"create", "update", "list", "patch"} {
				observed.Migratable = observed.Migratable && slices.Contains(r.Verbs, verb)
			}
		}
	}
	if observed.Resource == nil || !observed.Migratable {
		return nil
	}
	all, err := o.metadata.Resource(*observed.Resource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	observed.Revision, observed.Objects = all.ResourceVersion, all.Items
	return nil
}
