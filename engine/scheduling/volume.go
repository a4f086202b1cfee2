package scheduling

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/wasm/abi"
)

// reasonVolumes is the reason of volumes; strategies see it as node affinity.
const reasonVolumes = reasons(1) << (abi.Reasons + 1)

// Upstream's words for what volumes have against a node, or against a pod anywhere.
const (
	unboundImmediate = "pod has unbound immediate PersistentVolumeClaims"
	nodeConflict     = "node(s) didn't match PersistentVolume's node affinity"
	zoneConflict     = "node(s) had no available volume zone"
	noVolume         = "node(s) didn't find available persistent volumes to bind"
	noSpace          = "node(s) did not have enough free storage"
	tooManyVolumes   = "node(s) exceed max volume count"
	usedAlready      = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
)

// volumes knows the claims of pods, what they are bound to and what they could be
// bound to. It reads listers, and owns which volumes are promised to claims by
// choices that the API does not show yet. Its zero value knows of none.
type volumes struct {
	claims     corelisters.PersistentVolumeClaimLister
	volumes    corelisters.PersistentVolumeLister
	classes    storagelisters.StorageClassLister
	nodes      storagelisters.CSINodeLister
	drivers    storagelisters.CSIDriverLister
	capacities storagelisters.CSIStorageCapacityLister

	promised map[string]string // volume -> namespace/name of a claim
}

// subscribe calls changed at every change.
func (v *volumes) subscribe(f informers.SharedInformerFactory, changed func()) error {
	core, storage := f.Core().V1(), f.Storage().V1()
	v.claims, v.volumes = core.PersistentVolumeClaims().Lister(), core.PersistentVolumes().Lister()
	v.classes, v.nodes = storage.StorageClasses().Lister(), storage.CSINodes().Lister()
	v.drivers, v.capacities = storage.CSIDrivers().Lister(), storage.CSIStorageCapacities().Lister()
	v.promised = map[string]string{}
	for _, i := range []cache.SharedIndexInformer{
		core.PersistentVolumeClaims().Informer(), core.PersistentVolumes().Informer(), storage.StorageClasses().Informer(),
		storage.CSINodes().Informer(), storage.CSIDrivers().Informer(), storage.CSIStorageCapacities().Informer(),
	} {
		_, err := i.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { changed() }, UpdateFunc: func(any, any) { changed() }, DeleteFunc: func(any) { changed() },
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// claimNames are the claims that a pod uses, generic ephemeral volumes included.
func claimNames(pod *corev1.Pod) []string {
	var names []string
	for i := range pod.Spec.Volumes {
		switch v := &pod.Spec.Volumes[i]; {
		case v.PersistentVolumeClaim != nil:
			names = append(names, v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil:
			names = append(names, pod.Name+"-"+v.Name)
		}
	}
	return names
}

// wanted are the claims of one pod, by what they need.
type wanted struct {
	bound   []*corev1.PersistentVolume
	waiting []*corev1.PersistentVolumeClaim // for their first consumer
	single  sets.Set[string]                // claims that one pod alone may use
}

// wants looks the pod's claims up. blocked says why the pod may not go anywhere.
func (v *volumes) wants(pod *corev1.Pod) (w wanted, blocked string) {
	for _, name := range claimNames(pod) {
		claim, err := v.claims.PersistentVolumeClaims(pod.Namespace).Get(name)
		switch {
		case err != nil:
			return w, fmt.Sprintf("persistentvolumeclaim %q not found", name)
		case claim.DeletionTimestamp != nil:
			return w, fmt.Sprintf("persistentvolumeclaim %q is being deleted", name)
		case claim.Status.Phase == corev1.ClaimLost:
			return w, fmt.Sprintf("persistentvolumeclaim %q bound to non-existent persistentvolume %q", name, claim.Spec.VolumeName)
		}
		if slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteOncePod) {
			w.single = w.single.Union(sets.New(name))
		}
		if metav1.HasAnnotation(claim.ObjectMeta, volume.AnnBindCompleted) && claim.Spec.VolumeName != "" {
			pv, err := v.volumes.Get(claim.Spec.VolumeName)
			if err != nil {
				return w, fmt.Sprintf("persistentvolume %q not found", claim.Spec.VolumeName)
			}
			w.bound = append(w.bound, pv)
			continue
		}
		if delayed, err := volume.IsDelayBindingMode(claim, v.classes); err != nil || !delayed || claim.Spec.VolumeName != "" {
			return w, unboundImmediate
		}
		w.waiting = append(w.waiting, claim)
	}
	return w, ""
}

// against says what the claims have against a node, "" for nothing.
func (v *volumes) against(w wanted, n *nodeInfo) string {
	if v.tooMany(w, n) {
		return tooManyVolumes
	}
	for _, pv := range w.bound {
		if volume.CheckNodeAffinity(pv, n.node.Labels) != nil {
			return nodeConflict
		}
	}
	if _, why := v.choose(w, n.node); why != "" {
		return why
	}
	for _, pv := range w.bound {
		if !zoneFits(pv, n.node) {
			return zoneConflict
		}
	}
	return ""
}

// zoneFits compares the zone and region labels of a volume with the node's.
func zoneFits(pv *corev1.PersistentVolume, node *corev1.Node) bool {
	keys := []string{corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion}
	if !slices.ContainsFunc(keys, func(k string) bool { _, ok := node.Labels[k]; return ok }) {
		return true
	}
	for _, k := range keys {
		if want, ok := pv.Labels[k]; ok && !slices.Contains(strings.Split(want, "__"), node.Labels[k]) {
			return false
		}
	}
	return true
}

// choice is what one waiting claim gets on a node: the volume, or if that is nil,
// a new one made by its class's provisioner.
type choice struct {
	claim  *corev1.PersistentVolumeClaim
	volume *corev1.PersistentVolume
}

// choose finds something for every waiting claim on the node, the largest first.
func (v *volumes) choose(w wanted, node *corev1.Node) (choices []choice, why string) {
	if len(w.waiting) == 0 {
		return nil, ""
	}
	all, err := v.volumes.List(labels.Everything())
	if err != nil {
		return nil, noVolume // a lister over a cache has no errors
	}
	waiting := slices.Clone(w.waiting)
	slices.SortStableFunc(waiting, func(a, b *corev1.PersistentVolumeClaim) int {
		return a.Spec.Resources.Requests.Storage().Cmp(*b.Spec.Resources.Requests.Storage())
	})
	taken := map[string]*corev1.PersistentVolume{}
	for _, claim := range waiting {
		if at, ok := claim.Annotations[volume.AnnSelectedNode]; ok {
			if at != node.Name {
				return nil, nodeConflict
			}
			choices = append(choices, choice{claim: claim})
			continue
		}
		free := slices.DeleteFunc(slices.Clone(all), func(pv *corev1.PersistentVolume) bool {
			by, promised := v.promised[pv.Name]
			return promised && by != claim.Namespace+"/"+claim.Name
		})
		pv, err := volume.FindMatchingVolume(claim, free, node, taken, true, true)
		switch {
		case err == nil && pv != nil:
			taken[pv.Name] = pv
		default:
			if why := v.provides(claim, node); why != "" {
				return nil, why
			}
		}
		choices = append(choices, choice{claim, pv})
	}
	return choices, ""
}

// provides says why the claim's class cannot make a volume for the node.
func (v *volumes) provides(claim *corev1.PersistentVolumeClaim, node *corev1.Node) string {
	class, err := v.classes.Get(volume.GetPersistentVolumeClaimClass(claim))
	if err != nil || class.Provisioner == "" || class.Provisioner == "kubernetes.io/no-provisioner" || claim.Spec.Selector != nil {
		return noVolume
	}
	if len(class.AllowedTopologies) > 0 && !slices.ContainsFunc(class.AllowedTopologies, func(t corev1.TopologySelectorTerm) bool {
		return !slices.ContainsFunc(t.MatchLabelExpressions, func(r corev1.TopologySelectorLabelRequirement) bool {
			return !slices.Contains(r.Values, node.Labels[r.Key])
		})
	}) {
		return noVolume
	}
	driver, err := v.drivers.Get(class.Provisioner)
	if err != nil || !ptr.Deref(driver.Spec.StorageCapacity, false) {
		return ""
	}
	capacities, err := v.capacities.List(labels.Everything())
	if err == nil && slices.ContainsFunc(capacities, func(c *storagev1.CSIStorageCapacity) bool { return holds(c, class, claim, node) }) {
		return ""
	}
	return noSpace
}

// holds reports whether the capacity is of the class, for the node, and enough.
func holds(c *storagev1.CSIStorageCapacity, class *storagev1.StorageClass, claim *corev1.PersistentVolumeClaim, node *corev1.Node) bool {
	limit := c.MaximumVolumeSize
	if limit == nil {
		limit = c.Capacity
	}
	if c.StorageClassName != class.Name || limit == nil || limit.Cmp(*claim.Spec.Resources.Requests.Storage()) < 0 || c.NodeTopology == nil {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(c.NodeTopology)
	return err == nil && selector.Matches(labels.Set(node.Labels))
}

// tooMany reports whether the node's CSI drivers would have more volumes than they
// can attach.
func (v *volumes) tooMany(w wanted, n *nodeInfo) bool {
	csi, err := v.nodes.Get(n.name)
	if err != nil || !slices.ContainsFunc(csi.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Allocatable != nil && d.Allocatable.Count != nil }) {
		return false
	}
	have, more := map[string]sets.Set[string]{}, map[string]sets.Set[string]{}
	v.attach(more, w)
	for _, p := range n.pods {
		if mine, blocked := v.wants(p.pod); blocked == "" {
			v.attach(have, mine)
		}
	}
	for _, d := range csi.Spec.Drivers {
		if d.Allocatable == nil || d.Allocatable.Count == nil || more[d.Name].Difference(have[d.Name]).Len() == 0 {
			continue
		}
		if have[d.Name].Union(more[d.Name]).Len() > int(*d.Allocatable.Count) {
			return true
		}
	}
	return false
}

// attach adds the volumes of the claims by driver.
func (v *volumes) attach(to map[string]sets.Set[string], w wanted) {
	add := func(driver, id string) { to[driver] = to[driver].Union(sets.New(id)) }
	for _, pv := range w.bound {
		if pv.Spec.CSI != nil {
			add(pv.Spec.CSI.Driver, pv.Spec.CSI.VolumeHandle)
		}
	}
	for _, claim := range w.waiting {
		if class, err := v.classes.Get(volume.GetPersistentVolumeClaimClass(claim)); err == nil {
			add(class.Provisioner, claim.Namespace+"/"+claim.Name)
		}
	}
}

// judgeVolumes writes which nodes the class's claims admit into the mask that all
// classes with claims share: they are placed one pod a batch, because each choice
// changes what is left for the next.
func (c *cluster) judgeVolumes(cl *class) {
	blocked := c.blocked(cl)
	var w wanted
	if blocked == "" && c.volumes.claims != nil {
		w, blocked = c.volumes.wants(cl.sample)
	}
	words := c.snap.Bits(abi.Mask.Column(c.admitting.index))
	for _, n := range c.rows {
		if n != nil {
			setBit(words, n.row, blocked == "" && (c.volumes.claims == nil || c.volumes.against(w, n) == ""))
		}
	}
	c.snap.TouchColumn(abi.Mask.Column(c.admitting.index))
}

// volumesAgainst says what volumes have against a pod of the class on the node.
func (c *cluster) volumesAgainst(cl *class, n *nodeInfo) string {
	if !cl.claims || c.volumes.claims == nil {
		return ""
	}
	if blocked := c.blocked(cl); blocked != "" {
		return blocked
	}
	w, _ := c.volumes.wants(cl.sample)
	return c.volumes.against(w, n)
}

// blocked is what keeps a waiting pod of a class with claims from every node.
func (c *cluster) blocked(cl *class) string {
	if !cl.claims || c.volumes.claims == nil {
		return ""
	}
	w, why := c.volumes.wants(cl.sample)
	if why != "" || w.single.Len() == 0 {
		return why
	}
	for _, p := range c.pods {
		if p.pod.Namespace == cl.sample.Namespace && w.single.HasAny(claimNames(p.pod)...) {
			return usedAlready
		}
	}
	return ""
}

// promise keeps the chosen volumes for their claims until the API shows it.
func (v *volumes) promise(choices []choice) {
	for name := range v.promised {
		if pv, err := v.volumes.Get(name); err != nil || pv.Spec.ClaimRef != nil {
			delete(v.promised, name)
		}
	}
	for _, c := range choices {
		if c.volume != nil {
			v.promised[c.volume.Name] = c.claim.Namespace + "/" + c.claim.Name
		}
	}
}

func (v *volumes) retract(choices []choice) {
	for _, c := range choices {
		if c.volume != nil {
			delete(v.promised, c.volume.Name)
		}
	}
}

// promiseVolumes chooses what a pod of the class gets on the node.
func (c *cluster) promiseVolumes(cl *class, n *nodeInfo) []choice {
	if !cl.claims || c.volumes.claims == nil {
		return nil
	}
	w, _ := c.volumes.wants(cl.sample) // verified just before
	choices, _ := c.volumes.choose(w, n.node)
	c.volumes.promise(choices)
	return choices
}
