package scheduling

import (
	"strconv"
	"sync/atomic"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/wasm/abi"
)

// Skews that pods of a workload are spread by, softly, if they ask for no spread.
const (
	hostnameSkew = 3
	zoneSkew     = 5
)

// defaults finds what a pod without spread constraints is to be spread from: the
// pods of the Services that select it and of its ReplicaSet, StatefulSet or
// ReplicationController. Its zero value finds nothing.
type defaults struct {
	services     corelisters.ServiceLister
	controllers  corelisters.ReplicationControllerLister
	replicaSets  appslisters.ReplicaSetLister
	statefulSets appslisters.StatefulSetLister

	// changes counts changes of Services; found is of seen many.
	changes atomic.Uint64
	seen    uint64
	found   map[string]labels.Selector
}

func (d *defaults) subscribe(f informers.SharedInformerFactory) error {
	d.controllers = f.Core().V1().ReplicationControllers().Lister()
	d.replicaSets, d.statefulSets = f.Apps().V1().ReplicaSets().Lister(), f.Apps().V1().StatefulSets().Lister()
	services := f.Core().V1().Services()
	d.services = services.Lister()
	_, err := services.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { d.changes.Add(1) },
		UpdateFunc: func(any, any) { d.changes.Add(1) },
		DeleteFunc: func(any) { d.changes.Add(1) },
	})
	return err
}

// selector returns nil for pods that are not spread by default. sign is the pod's
// signature; the answer is remembered under it and the owner.
func (d *defaults) selector(sign string, pod *corev1.Pod) labels.Selector {
	const most = 10_000
	if d.services == nil || len(pod.Spec.TopologySpreadConstraints) > 0 {
		return nil
	}
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner != nil {
		sign = strconv.Itoa(len(owner.UID)) + string(owner.UID) + sign
	}
	if n := d.changes.Load(); d.found == nil || n != d.seen || len(d.found) > most {
		d.seen, d.found = n, map[string]labels.Selector{}
	}
	s, ok := d.found[sign]
	if !ok {
		var final bool
		if s, final = d.find(pod, owner); final {
			d.found[sign] = s
		}
	}
	return s
}

// find looks it up; final is false if the owner is not known yet.
func (d *defaults) find(pod *corev1.Pod, owner *metav1.OwnerReference) (s labels.Selector, final bool) {
	all, err := d.services.Services(pod.Namespace).List(labels.Everything())
	if err != nil {
		return nil, false // a lister over a cache has no errors
	}
	merged := labels.Set{}
	for _, service := range all {
		if service.Spec.Selector != nil && labels.Set(service.Spec.Selector).AsSelectorPreValidated().Matches(labels.Set(pod.Labels)) {
			merged = labels.Merge(merged, service.Spec.Selector)
		}
	}
	s, final = merged.AsSelectorPreValidated(), true
	if owner != nil {
		var more labels.Selector
		if more, final = d.ofOwner(pod.Namespace, owner); more != nil {
			requirements, _ := more.Requirements()
			s = s.Add(requirements...)
		}
	}
	if s.Empty() {
		return nil, final
	}
	return s, final
}

func (d *defaults) ofOwner(namespace string, owner *metav1.OwnerReference) (s labels.Selector, known bool) {
	var ls *metav1.LabelSelector
	switch owner.APIVersion + "/" + owner.Kind {
	case corev1.SchemeGroupVersion.String() + "/ReplicationController":
		rc, err := d.controllers.ReplicationControllers(namespace).Get(owner.Name)
		if err != nil {
			return nil, false
		}
		return labels.Set(rc.Spec.Selector).AsSelectorPreValidated(), true
	case appsv1.SchemeGroupVersion.String() + "/ReplicaSet":
		rs, err := d.replicaSets.ReplicaSets(namespace).Get(owner.Name)
		if err != nil {
			return nil, false
		}
		ls = rs.Spec.Selector
	case appsv1.SchemeGroupVersion.String() + "/StatefulSet":
		set, err := d.statefulSets.StatefulSets(namespace).Get(owner.Name)
		if err != nil {
			return nil, false
		}
		ls = set.Spec.Selector
	default:
		return nil, true
	}
	s, err := metav1.LabelSelectorAsSelector(ls)
	if err != nil {
		return nil, true // validation admits no such selector
	}
	return s, true
}

// addDefaultSpread registers the spread that the class did not ask for.
func (c *cluster) addDefaultSpread(cl *class) {
	for _, d := range []struct {
		key  string
		skew int64
	}{{corev1.LabelHostname, hostnameSkew}, {corev1.LabelTopologyZone, zoneSkew}} {
		n := need{op: abi.OpSpreadSoft, byDefault: true, key: c.key(d.key), maxSkew: d.skew}
		n.term = c.spreadTerm(cl.sample.Namespace, cl.spreads)
		n.self = cl.spreads.Matches(labels.Set(cl.sample.Labels))
		if cl.constrained {
			n.mask = c.mask("eligible\x00\x00affinity\x00"+affinityID(&cl.sample.Spec), cl.matchesAffinity)
		}
		cl.needs = append(cl.needs, n)
	}
}
