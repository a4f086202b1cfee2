package scheduling

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"
)

// storageWorld is a world of three nodes in zones of their own, and two classes
// that wait for a consumer: "make" provisions, "find" does not.
func storageWorld(t *testing.T, objects ...any) *world {
	w := newWorld(t, nil)
	wait := ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)
	objects = append(objects,
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "make"}, Provisioner: "disk.test", VolumeBindingMode: wait},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "find"}, Provisioner: "kubernetes.io/no-provisioner", VolumeBindingMode: wait})
	core, storage := w.config.Informers.Core().V1(), w.config.Informers.Storage().V1()
	for _, o := range objects {
		switch o.(type) {
		case *storagev1.StorageClass:
			must(t, storage.StorageClasses().Informer().GetIndexer().Add(o))
		case *storagev1.CSINode:
			must(t, storage.CSINodes().Informer().GetIndexer().Add(o))
		case *storagev1.CSIDriver:
			must(t, storage.CSIDrivers().Informer().GetIndexer().Add(o))
		case *storagev1.CSIStorageCapacity:
			must(t, storage.CSIStorageCapacities().Informer().GetIndexer().Add(o))
		case *corev1.PersistentVolume:
			must(t, core.PersistentVolumes().Informer().GetIndexer().Add(o))
		case *corev1.PersistentVolumeClaim:
			must(t, core.PersistentVolumeClaims().Informer().GetIndexer().Add(o))
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		w.observe(event{newNode: makeNode(name, inZone("zone-"+name))}, time.Now())
	}
	return w
}

func claim(name, class string, change ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("5Gi")}},
		},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func boundTo(pv string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) {
		c.Spec.VolumeName, c.Status.Phase = pv, corev1.ClaimBound
		c.Annotations = map[string]string{volume.AnnBindCompleted: "yes"}
	}
}

func once(c *corev1.PersistentVolumeClaim) {
	c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
}

// localVolume is reachable from the zone's node alone.
func localVolume(name, class, zone, driver string) *corev1.PersistentVolume {
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeAvailable},
	}
	if zone != "" {
		pv.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}},
		}}}}
	}
	if driver != "" {
		pv.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: name}
	}
	return pv
}

func using(claims ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		for _, c := range claims {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: c, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: c},
			}})
		}
	}
}

func limited(node string, count int32) *storagev1.CSINode {
	return &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: node}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{
		Name: "disk.test", NodeID: node, Allocatable: &storagev1.VolumeNodeResources{Count: &count},
	}}}}
}

func TestVolumesDecideWhereAPodGoes(t *testing.T) {
	space := func(zone, size string) *storagev1.CSIStorageCapacity {
		return &storagev1.CSIStorageCapacity{ObjectMeta: metav1.ObjectMeta{Name: zone}, StorageClassName: "make", Capacity: ptr.To(resource.MustParse(size)),
			NodeTopology: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelTopologyZone: zone}}}
	}
	for name, tc := range map[string]struct {
		objects []any
		claims  []string
		want    string // the nodes that do
		why     string // what is said if none does
	}{
		"no such claim":       {nil, []string{"data"}, "", `0/3 nodes are available: persistentvolumeclaim "data" not found. preemption: 0/3`},
		"unbound, immediate":  {[]any{claim("data", "none")}, []string{"data"}, "", unboundImmediate},
		"bound in a zone":     {[]any{claim("data", "find", boundTo("v")), localVolume("v", "find", "zone-b", "")}, []string{"data"}, "b", ""},
		"bound in two zones":  {[]any{claim("x", "", boundTo("v")), claim("y", "", boundTo("u")), localVolume("v", "", "zone-b", ""), localVolume("u", "", "zone-a", "")}, []string{"x", "y"}, "", "3 " + nodeConflict},
		"finds a volume":      {[]any{claim("data", "find"), localVolume("v", "find", "zone-c", "")}, []string{"data"}, "c", ""},
		"one volume, two ask": {[]any{claim("x", "find"), claim("y", "find"), localVolume("v", "find", "zone-c", "")}, []string{"x", "y"}, "", "3 " + noVolume},
		"nothing to find":     {[]any{claim("data", "find")}, []string{"data"}, "", "3 " + noVolume},
		"made anywhere":       {[]any{claim("data", "make")}, []string{"data"}, "abc", ""},
		"made where space is": {[]any{claim("data", "make"), &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "disk.test"},
			Spec: storagev1.CSIDriverSpec{StorageCapacity: ptr.To(true)}}, space("zone-a", "1Gi"), space("zone-b", "6Gi")}, []string{"data"}, "b", ""},
		"limit reached":          {[]any{claim("data", "make"), limited("a", 0), limited("b", 0), limited("c", 1)}, []string{"data"}, "c", ""},
		"a pod alone may use it": {[]any{claim("data", "", once, boundTo("v")), localVolume("v", "", "", "")}, []string{"data"}, "abc", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := storageWorld(t, tc.objects...)
			p := makePod("p", using(tc.claims...))
			w.observe(event{newPod: p}, time.Now())
			groups := w.group(w.queue.pop(1))
			got := ""
			for _, node := range []string{"a", "b", "c"} {
				if w.cluster.check(groups[0].class, w.cluster.nodes[node]) == 0 {
					got += node
				}
			}
			if got != tc.want {
				t.Errorf("nodes %q do, want %q", got, tc.want)
			}
			if _, err := w.ask(t.Context(), &w.fallback, groups, decisionInput{now: time.Now()}); err != nil {
				t.Errorf("the strategy and the engine disagree: %v", err)
			}
			if tc.want != "" && (len(w.bindings) != 1 || !strings.Contains(tc.want, (<-w.bindings).node)) {
				t.Errorf("the pod was not placed there")
			}
			if tc.why != "" && (len(w.reports) != 1 || !strings.Contains((<-w.reports).message, tc.why)) {
				t.Errorf("no report with %q", tc.why)
			}
		})
	}
}

// TestOnePodAloneUsesAClaim: a second pod waits as long as the first is there.
func TestOnePodAloneUsesAClaim(t *testing.T) {
	w := storageWorld(t, claim("data", "", once, boundTo("v")), localVolume("v", "", "", ""))
	on := makePod("first", using("data"), func(p *corev1.Pod) { p.Spec.NodeName = "a" })
	w.observe(event{newPod: on}, time.Now())
	w.observe(event{newPod: makePod("second", using("data"))}, time.Now())
	cl := w.group(w.queue.pop(1))[0].class
	if got := w.diagnose(cl).message; !strings.Contains(got, usedAlready) {
		t.Errorf("while it is used: %s", got)
	}
	w.observe(event{oldPod: on}, time.Now())
	if d := w.diagnose(cl); d.fits != 3 {
		t.Errorf("when it is free: %+v", d)
	}
}

// TestTwoPodsDoNotGetOneVolume: what the first was promised, the second does not see.
func TestTwoPodsDoNotGetOneVolume(t *testing.T) {
	w := storageWorld(t, claim("x", "find"), claim("y", "find"), localVolume("v", "find", "zone-c", ""))
	w.observe(event{newPod: makePod("first", using("x"))}, time.Now())
	w.observe(event{newPod: makePod("second", using("y"))}, time.Now())
	for i, want := range []int{1, 1} { // bindings so far
		pods := w.queue.pop(batchPods)
		if len(pods) != 1 {
			t.Fatalf("batch %d has %d pods", i, len(pods))
		}
		w.schedule(t.Context(), pods, time.Now())
		if len(w.bindings) != want {
			t.Fatalf("after pod %d: %d bindings", i, len(w.bindings))
		}
	}
	b := <-w.bindings
	if b.node != "c" || len(b.choices) != 1 || b.choices[0].volume == nil {
		t.Errorf("the first: %+v", b)
	}
	w.observeBound(&bindResult{b, nil}, time.Now()) // refused: the volume is free again
	if len(w.cluster.volumes.promised) != 0 {
		t.Errorf("still promised: %v", w.cluster.volumes.promised)
	}
}
