package controllers_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/client"
)

func TestQuotaFollowsObjects(t *testing.T) {
	c := start(t)
	create(t, c, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
		"secrets": resource.MustParse("5"), "count/leases.coordination.k8s.io": resource.MustParse("5"), "count/deployments.apps": resource.MustParse("5"),
	}}})
	get := func() (*corev1.ResourceQuota, error) {
		return client.Get[*corev1.ResourceQuota](t.Context(), c, "ns", "q")
	}
	uses := func(secrets, deployments int64) func() bool {
		return func() bool {
			q, err := get()
			if err != nil || len(q.Status.Used) != 3 {
				return false
			}
			s, d := q.Status.Used["secrets"], q.Status.Used["count/deployments.apps"]
			return s.Value() == secrets && d.Value() == deployments
		}
	}
	eventually(t, "an empty quota", uses(0, 0), show(get))
	create(t, c, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"}})
	create(t, c, deployment(0))
	eventually(t, "one of each", uses(1, 1), show(get))
	if err := client.Delete[*corev1.Secret](t.Context(), c, "ns", "s", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the secret given back", uses(0, 1), show(get))
}

func TestClaimIsBoundAndProtected(t *testing.T) {
	c := start(t)
	ctx := t.Context()
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	create(t, c, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v"}, Spec: corev1.PersistentVolumeSpec{
		Capacity: size, AccessModes: modes, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/v"}},
	}})
	create(t, c, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
		StorageClassName: ptr.To(""), AccessModes: modes, Resources: corev1.VolumeResourceRequirements{Requests: size},
	}})
	claim := func() (*corev1.PersistentVolumeClaim, error) {
		return client.Get[*corev1.PersistentVolumeClaim](ctx, c, "ns", "data")
	}
	volume := func() (*corev1.PersistentVolume, error) { return client.Get[*corev1.PersistentVolume](ctx, c, "", "v") }
	eventually(t, "bound", func() bool {
		pvc, err := claim()
		pv, pvErr := volume()
		return err == nil && pvErr == nil && pvc.Status.Phase == corev1.ClaimBound && pv.Status.Phase == corev1.VolumeBound && len(pvc.Finalizers) == 1
	}, show(claim))
	spec := template("v1").Spec
	spec.NodeName = "n"
	spec.Volumes = []corev1.Volume{{Name: "d", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
	create(t, c, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p"}, Spec: spec})
	if err := client.Delete[*corev1.PersistentVolumeClaim](ctx, c, "ns", "data", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if pvc, err := claim(); err != nil || pvc.DeletionTimestamp == nil {
		t.Errorf("a claim in use was not kept: %v, %v", pvc, err)
	}
	if err := client.Delete[*corev1.Pod](ctx, c, "ns", "p", metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "gone, and its volume released", func() bool {
		_, err := claim()
		pv, pvErr := volume()
		return apierrors.IsNotFound(err) && pvErr == nil && pv.Status.Phase == corev1.VolumeReleased
	}, show(volume))
}
