package resourceclaim

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	resourcelisters "k8s.io/client-go/listers/resource/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Two kinds share the queue: the name of a key begins with one of these.
const (
	podKey   = "pod:"
	claimKey = "claim:"
)

// byTemplate indexes the pods that ask for claims by the templates they name.
const byTemplate = "resourceClaimTemplate"

type observer struct {
	client    *client.Client
	pods      corelisters.PodLister
	podIndex  cache.Indexer
	claims    resourcelisters.ResourceClaimLister
	templates resourcelisters.ResourceClaimTemplateLister
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	pods := env.Informers().Core().V1().Pods()
	api := env.Informers().Resource().V1()
	writer := env.WriterFor("resource-claim-controller")
	if err := pods.Informer().AddIndexers(cache.Indexers{byTemplate: templatesOf}); err != nil {
		return nil, err
	}
	o := &observer{
		client: writer, pods: pods.Lister(), podIndex: pods.Informer().GetIndexer(),
		claims: api.ResourceClaims().Lister(), templates: api.ResourceClaimTemplates().Lister(),
	}
	podWatch := reconcile.On(pods.Informer(), podKeys)
	podWatch.Skip = func(old, obj any) bool {
		was, pod := old.(*corev1.Pod), obj.(*corev1.Pod)
		return was.UID == pod.UID && was.Spec.NodeName == pod.Spec.NodeName && was.Status.Phase == pod.Status.Phase &&
			(was.DeletionTimestamp == nil) == (pod.DeletionTimestamp == nil) &&
			apiequality.Semantic.DeepEqual(was.Status.ResourceClaimStatuses, pod.Status.ResourceClaimStatuses) &&
			apiequality.Semantic.DeepEqual(was.Status.ExtendedResourceClaimStatus, pod.Status.ExtendedResourceClaimStatus)
	}
	return env.Controller(reconcile.Config{
		Name:      "resource_claim",
		Writer:    writer,
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			podWatch,
			reconcile.On(api.ResourceClaims().Informer(), claimKeys),
			reconcile.On(api.ResourceClaimTemplates().Informer(), o.templateKeys),
		},
	})
}

func templatesOf(obj any) ([]string, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return nil, nil
	}
	var out []string
	for _, want := range pod.Spec.ResourceClaims {
		if want.ResourceClaimTemplateName != nil {
			out = append(out, pod.Namespace+"/"+*want.ResourceClaimTemplateName)
		}
	}
	return out, nil
}

// podKeys names a pod that asks for claims, and the claims it may hold.
func podKeys(pod *corev1.Pod) []reconcile.Key {
	extended := pod.Status.ExtendedResourceClaimStatus
	if len(pod.Spec.ResourceClaims) == 0 && extended == nil {
		return nil
	}
	keys := []reconcile.Key{{Namespace: pod.Namespace, Name: podKey + pod.Name}}
	add := func(name string) { keys = append(keys, reconcile.Key{Namespace: pod.Namespace, Name: claimKey + name}) }
	for _, want := range pod.Spec.ResourceClaims {
		if want.ResourceClaimName != nil {
			add(*want.ResourceClaimName)
		}
	}
	for _, status := range pod.Status.ResourceClaimStatuses {
		if status.ResourceClaimName != nil {
			add(*status.ResourceClaimName)
		}
	}
	if extended != nil {
		add(extended.ResourceClaimName)
	}
	return keys
}

// claimKeys names a claim, the pod that owns it and those it is reserved for.
func claimKeys(claim *resourcev1.ResourceClaim) []reconcile.Key {
	keys := []reconcile.Key{{Namespace: claim.Namespace, Name: claimKey + claim.Name}}
	if owner := metav1.GetControllerOfNoCopy(claim); owner != nil && owner.Kind == "Pod" {
		keys = append(keys, reconcile.Key{Namespace: claim.Namespace, Name: podKey + owner.Name})
	}
	for _, ref := range claim.Status.ReservedFor {
		if ref.Resource == "pods" {
			keys = append(keys, reconcile.Key{Namespace: claim.Namespace, Name: podKey + ref.Name})
		}
	}
	return keys
}

func (o *observer) templateKeys(template *resourcev1.ResourceClaimTemplate) []reconcile.Key {
	pods, err := o.podIndex.ByIndex(byTemplate, template.Namespace+"/"+template.Name)
	if err != nil {
		return nil
	}
	var keys []reconcile.Key
	for _, pod := range pods {
		keys = append(keys, podKeys(pod.(*corev1.Pod))[0])
	}
	return keys
}

func (o *observer) reconcile(ctx context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
	if name, ok := strings.CutPrefix(key.Name, podKey); ok {
		return o.pod(key.Namespace, name)
	}
	return o.claim(ctx, key.Namespace, strings.TrimPrefix(key.Name, claimKey))
}

func (o *observer) pod(namespace, name string) (reconcile.Result, error) {
	pod, err := o.pods.Pods(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := PodObserved{Pod: pod, Templates: map[string]*resourcev1.ResourceClaimTemplate{}}
	if observed.Claims, err = o.claims.ResourceClaims(namespace).List(labels.Everything()); err != nil {
		return reconcile.Result{}, err
	}
	for _, want := range pod.Spec.ResourceClaims {
		if want.ResourceClaimTemplateName == nil {
			continue
		}
		if template, err := o.templates.ResourceClaimTemplates(namespace).Get(*want.ResourceClaimTemplateName); err == nil {
			observed.Templates[template.Name] = template
		}
	}
	return PlanPod(observed), nil
}

func (o *observer) claim(ctx context.Context, namespace, name string) (reconcile.Result, error) {
	claim, err := o.claims.ResourceClaims(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := ClaimObserved{Claim: claim, Pods: map[string]*corev1.Pod{}}
	need := map[string]bool{}
	for _, ref := range claim.Status.ReservedFor {
		need[ref.Name] = true
	}
	if owner := metav1.GetControllerOfNoCopy(claim); owner != nil {
		need[owner.Name] = true
	}
	for pod := range need {
		// From the store: a pod that the cache does not show yet keeps its reservation.
		observed.Pods[pod], err = client.Get[*corev1.Pod](ctx, o.client, namespace, pod)
		if apierrors.IsNotFound(err) {
			delete(observed.Pods, pod)
		} else if err != nil {
			return reconcile.Result{}, err
		}
	}
	return PlanClaim(observed), nil
}
