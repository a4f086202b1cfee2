// Package nodettl tells agents, by an annotation of their node, how many seconds
// they may keep ConfigMaps and Secrets: longer in large clusters.
package nodettl

import (
	"context"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// steps by the number of nodes; they overlap, so that a node more or less does not
// change all others again and again.
var steps = []struct{ least, most, seconds int }{
	{0, 100, 0}, {90, 500, 15}, {450, 1000, 30}, {900, 2000, 60}, {1800, 1 << 30, 300},
}

// Step moves from the step a cluster is in to the one for its number of nodes.
func Step(now, nodes int) int {
	for nodes > steps[now].most {
		now++
	}
	for nodes < steps[now].least {
		now--
	}
	return now
}

// Plan annotates one node.
func Plan(node *corev1.Node, step int) reconcile.Result {
	var result reconcile.Result
	if want := strconv.Itoa(steps[step].seconds); node.Annotations[corev1.ObjectTTLAnnotationKey] != want {
		updated := node.DeepCopy()
		metav1.SetMetaDataAnnotation(&updated.ObjectMeta, corev1.ObjectTTLAnnotationKey, want)
		result.Add(reconcile.Update{Object: updated})
	}
	return result
}

// New builds the controller; its keys are nodes.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	nodes := env.Informers().Core().V1().Nodes()
	var mu sync.Mutex
	step := 0
	watch := reconcile.Self[*corev1.Node](nodes.Informer())
	watch.Skip = func(old, obj any) bool {
		return old.(*corev1.Node).Annotations[corev1.ObjectTTLAnnotationKey] == obj.(*corev1.Node).Annotations[corev1.ObjectTTLAnnotationKey]
	}
	var c *reconcile.Controller
	c, err := env.Controller(reconcile.Config{
		Name: "ttl-controller", Watches: []reconcile.Watch{watch},
		Reconcile: func(_ context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
			mu.Lock()
			before := step
			step = Step(step, len(nodes.Informer().GetIndexer().ListKeys()))
			now := step
			mu.Unlock()
			if now != before {
				all, err := nodes.Lister().List(labels.Everything())
				if err != nil {
					return reconcile.Result{}, err
				}
				for _, node := range all {
					c.Enqueue(reconcile.KeyOf(node))
				}
			}
			node, err := nodes.Lister().Get(key.Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			return Plan(node, now), nil
		},
	})
	return c, err
}
