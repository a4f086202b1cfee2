package node

import (
	"context"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	certificateslisters "k8s.io/client-go/listers/certificates/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	resourcelisters "k8s.io/client-go/listers/resource/v1"
	storagev1listers "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
)

func index(t *testing.T, more cache.Indexers, objs ...any) cache.Indexer {
	t.Helper()
	indexers := cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}
	for k, v := range more {
		indexers[k] = v
	}
	i := cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexers)
	for _, o := range objs {
		if err := i.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return i
}

func newAuthorizer(t *testing.T) *Authorizer {
	named := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p"},
		Spec: corev1.PodSpec{
			NodeName: "n1", ServiceAccountName: "web",
			ImagePullSecrets: []corev1.LocalObjectReference{named("pull")},
			Containers: []corev1.Container{{
				Env: []corev1.EnvVar{
					{Name: "A", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: named("env")}}},
					{Name: "B", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: named("env-map")}}},
				},
				EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: named("env-from")}}},
			}},
			InitContainers: []corev1.Container{{EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: named("init-map")}}}}},
			Volumes: []corev1.Volume{
				{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "vol"}}},
				{Name: "pr", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
					{Secret: &corev1.SecretProjection{LocalObjectReference: named("proj")}},
					{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: named("kube-root-ca.crt")}}}}}},
				{Name: "d", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
				{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
			},
		},
	}
	other := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "q"}, Spec: corev1.PodSpec{
		NodeName: "n2", ServiceAccountName: "db", ImagePullSecrets: []corev1.LocalObjectReference{named("theirs")}}}
	mirror := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "m", Annotations: map[string]string{corev1.MirrorPodAnnotationKey: "x"}},
		Spec: corev1.PodSpec{NodeName: "n1", ServiceAccountName: "stolen", ImagePullSecrets: []corev1.LocalObjectReference{named("stolen")}}}
	claimed := "by-name"
	pod.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "a", ResourceClaimName: &claimed}, {Name: "b"}}
	made := "made"
	pod.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "b", ResourceClaimName: &made}}
	pod.Status.ExtendedResourceClaimStatus = &corev1.PodExtendedResourceClaimStatus{ResourceClaimName: "extended"}
	pv := func(name, claim string, source corev1.PersistentVolumeSource) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{
			ClaimRef: &corev1.ObjectReference{Namespace: "ns", Name: claim}, PersistentVolumeSource: source}}
	}
	csi := func(stage string) corev1.PersistentVolumeSource {
		return corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
			NodeStageSecretRef:         &corev1.SecretReference{Namespace: "storage", Name: stage},
			ControllerPublishSecretRef: &corev1.SecretReference{Namespace: "storage", Name: "controller"}}}
	}
	ceph := corev1.PersistentVolumeSource{CephFS: &corev1.CephFSPersistentVolumeSource{SecretRef: &corev1.SecretReference{Name: "ceph"}}}
	slice := func(name, node string) *resourcev1.ResourceSlice {
		return &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: resourcev1.ResourceSliceSpec{NodeName: &node}}
	}
	request := func(name string, node types.NodeName) *certificatesv1.PodCertificateRequest {
		return &certificatesv1.PodCertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: certificatesv1.PodCertificateRequestSpec{NodeName: node}}
	}
	served := func(name, class, secret string) *networkingv1.Ingress {
		return &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: networkingv1.IngressSpec{
			IngressClassName: &class, TLS: []networkingv1.IngressTLS{{SecretName: secret}}}}
	}
	class := func(name, controller string) *networkingv1.IngressClass {
		return &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.IngressClassSpec{Controller: controller}}
	}
	return New(View{
		Ingresses:    index(t, IndexIngresses(), served("a", "ours", "site"), served("b", "theirs", "elsewhere"), served("c", "missing", "classless")),
		Classes:      networkinglisters.NewIngressClassLister(index(t, nil, class("ours", "pintle.io/ingress"), class("theirs", "example.com/other"))),
		Pods:         index(t, IndexPods(), pod, other, mirror),
		Volumes:      index(t, IndexVolumes(), pv("pv", "data", csi("stage")), pv("unused", "free", csi("unneeded")), pv("ceph", "p-scratch", ceph)),
		Slices:       resourcelisters.NewResourceSliceLister(index(t, nil, slice("mine", "n1"), slice("yours", "n2"))),
		CertRequests: certificateslisters.NewPodCertificateRequestLister(index(t, nil, request("mine", "n1"), request("yours", "n2"))),
		Attachments:  storagev1listers.NewVolumeAttachmentLister(index(t, nil, &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "at"}, Spec: storagev1.VolumeAttachmentSpec{NodeName: "n1"}})),
	}, []rbacv1.PolicyRule{
		{Verbs: []string{"list"}, APIGroups: []string{""}, Resources: []string{"services"}},
		{Verbs: []string{"get", "list"}, APIGroups: []string{""}, Resources: []string{"secrets", "nodes", "pods"}},
	})
}

func TestAuthorize(t *testing.T) {
	r := newAuthorizer(t)
	for _, tc := range []struct {
		verb, what, ns, name, selector string // what: group/resource[/subresource]
		allow                          bool
		reason                         string // a part of it
	}{
		{"get", "/secrets", "ns", "pull", "", true, ""},
		{"watch", "/secrets", "ns", "env", "", true, ""},
		{"get", "/secrets", "ns", "env-from", "", true, ""},
		{"get", "/secrets", "ns", "vol", "", true, ""},
		{"get", "/secrets", "ns", "proj", "", true, ""},
		{"get", "/secrets", "storage", "stage", "", true, ""},
		{"get", "/secrets", "ns", "theirs", "", false, ""},
		{"get", "/secrets", "other", "vol", "", false, ""},
		{"watch", "/secrets", "ns", "site", "", true, ""},
		{"get", "/secrets", "other", "site", "", false, ""},
		{"get", "/secrets", "ns", "elsewhere", "", false, ""},
		{"get", "/secrets", "ns", "classless", "", false, ""},
		{"list", "/secrets", "ns", "", "", false, ""},
		{"update", "/secrets", "ns", "vol", "", false, ""},
		{"get", "/configmaps", "ns", "kube-root-ca.crt", "", true, ""},
		{"get", "/configmaps", "ns", "env-map", "", true, ""},
		{"get", "/configmaps", "ns", "init-map", "", true, ""},
		{"get", "/configmaps", "ns", "other", "", false, ""},
		{"get", "/persistentvolumeclaims", "ns", "data", "", true, ""},
		{"get", "/persistentvolumeclaims", "ns", "p-scratch", "", true, ""},
		{"patch", "/persistentvolumeclaims/status", "ns", "data", "", true, ""},
		{"update", "/persistentvolumeclaims", "ns", "data", "", false, ""},
		{"get", "/persistentvolumes", "", "pv", "", true, ""},
		{"get", "/persistentvolumes", "", "unused", "", false, ""},
		{"get", "storage.k8s.io/volumeattachments", "", "at", "", true, ""},
		{"create", "/serviceaccounts/token", "ns", "web", "", true, ""},
		{"create", "/serviceaccounts/token", "ns", "db", "", false, ""},
		{"create", "/serviceaccounts/token", "ns", "stolen", "", false, "no relationship found between node 'n1' and this object"},
		{"create", "/serviceaccounts/token", "ns", "", "", false, "can only create tokens for individual service accounts"},
		{"create", "/serviceaccounts", "ns", "web", "", false, "can only create token subresource of serviceaccount"},
		{"update", "/serviceaccounts", "ns", "web", "", false, "can only create tokens for individual service accounts"},
		{"get", "/serviceaccounts", "ns", "web", "", true, ""},
		{"get", "/serviceaccounts", "ns", "db", "", false, "no relationship found"},
		{"get", "/secrets", "ns", "stolen", "", false, "no relationship found"},
		{"get", "/secrets", "storage", "unneeded", "", false, "no relationship found"},
		{"get", "/secrets", "storage", "controller", "", false, "no relationship found"},
		{"get", "/secrets", "ns", "ceph", "", true, ""},
		{"get", "/pods", "ns", "m", "", true, ""},
		{"get", "/pods", "ns", "", "", false, "No Object name found"},
		{"create", "/pods/eviction", "ns", "p", "", true, ""},
		{"update", "/pods", "ns", "p", "", false, ""},
		{"get", "resource.k8s.io/resourceclaims", "ns", "by-name", "", true, ""},
		{"get", "resource.k8s.io/resourceclaims", "ns", "made", "", true, ""},
		{"get", "resource.k8s.io/resourceclaims", "ns", "extended", "", true, ""},
		{"get", "resource.k8s.io/resourceclaims", "ns", "other", "", false, "no relationship found"},
		{"update", "resource.k8s.io/resourceclaims", "ns", "made", "", false, "can only get individual resources of this type"},
		{"create", "resource.k8s.io/resourceslices", "", "", "", true, ""},
		{"patch", "resource.k8s.io/resourceslices", "", "mine", "", true, ""},
		{"delete", "resource.k8s.io/resourceslices", "", "yours", "", false, "no relationship found"},
		{"list", "resource.k8s.io/resourceslices", "", "", "spec.nodeName=n1", true, ""},
		{"deletecollection", "resource.k8s.io/resourceslices", "", "", "", false, "can only list/watch/deletecollection resourceslices with nodeName field selector"},
		{"create", "certificates.k8s.io/podcertificaterequests", "ns", "", "", true, ""},
		{"get", "certificates.k8s.io/podcertificaterequests", "ns", "mine", "", true, ""},
		{"get", "certificates.k8s.io/podcertificaterequests", "ns", "yours", "", false, "no relationship found"},
		{"watch", "certificates.k8s.io/podcertificaterequests", "", "", "spec.nodeName=n1", true, ""},
		{"list", "certificates.k8s.io/podcertificaterequests", "", "", "", false, "can only list/watch podcertificaterequests with nodeName field selector"},
		{"update", "certificates.k8s.io/podcertificaterequests", "ns", "mine", "", false, "nodes may not update podcertificaterequests"},
		{"update", "certificates.k8s.io/podcertificaterequests/status", "ns", "mine", "", false, "nodes may not access the status subresource of PodCertificateRequests"},
		{"list", "storage.k8s.io/csinodes", "", "", "", false, "can only get, create, update, patch, or delete a CSINode"},
		{"update", "storage.k8s.io/csinodes", "", "n1", "", true, ""},
		{"update", "storage.k8s.io/csinodes", "", "n2", "", false, "can only access CSINode with the same name as the requesting node"},
		{"get", "/persistentvolumeclaims/status", "ns", "data", "", false, "can only get/update/patch this type"},
		{"list", "/configmaps", "", "x", "", false, "can only read namespaced object of this type"},
		{"list", "/nodes", "", "n2", "", false, "node 'n1' cannot read 'n2', only its own Node object"},
		{"update", "coordination.k8s.io/leases", "kube-node-lease", "n1", "", true, ""},
		{"create", "coordination.k8s.io/leases", "kube-node-lease", "", "", true, ""},
		{"update", "coordination.k8s.io/leases", "kube-node-lease", "n2", "", false, ""},
		{"update", "coordination.k8s.io/leases", "default", "n1", "", false, ""},
		{"get", "/nodes", "", "n1", "", true, ""},
		{"watch", "/nodes", "", "n1", "", true, ""},
		{"list", "/nodes", "", "", "", false, ""},
		{"get", "/nodes", "", "n2", "", false, ""},
		{"patch", "/nodes/status", "", "n1", "", true, ""},
		{"delete", "/nodes", "", "n1", "", false, ""},
		{"get", "/pods", "ns", "p", "", true, ""},
		{"get", "/pods", "ns", "q", "", false, ""},
		{"list", "/pods", "", "", "spec.nodeName=n1", true, ""},
		{"list", "/pods", "", "", "spec.nodeName=n2", false, ""},
		{"list", "/pods", "", "", "", false, ""},
		{"patch", "/pods/status", "ns", "p", "", true, ""},
		{"create", "/pods/exec", "ns", "p", "", false, ""},
		{"list", "/services", "", "", "", true, ""},
		{"list", "/endpoints", "", "", "", false, ""},
	} {
		parts := append(strings.Split(tc.what, "/"), "")
		a := authorizer.AttributesRecord{
			User: &user.DefaultInfo{Name: "system:node:n1", Groups: []string{"system:nodes"}},
			Verb: tc.verb, APIGroup: parts[0], Resource: parts[1], Subresource: parts[2], Namespace: tc.ns, Name: tc.name, ResourceRequest: true,
		}
		if tc.selector != "" {
			a.FieldSelectorRequirements = fields.ParseSelectorOrDie(tc.selector).Requirements()
		}
		decision, reason, err := r.Authorize(context.Background(), a)
		if err != nil || decision == authorizer.DecisionDeny || (decision == authorizer.DecisionAllow) != tc.allow || !strings.Contains(reason, tc.reason) {
			t.Errorf("%s %s %s/%s: %v %q %v", tc.verb, tc.what, tc.ns, tc.name, decision, reason, err)
		}
	}
}

func TestOthersAreNotNodes(t *testing.T) {
	r := newAuthorizer(t)
	for _, u := range []*user.DefaultInfo{
		{Name: "system:node:n1"}, {Name: "n1", Groups: []string{"system:nodes"}}, {Name: "system:node:", Groups: []string{"system:nodes"}},
	} {
		a := authorizer.AttributesRecord{User: u, Verb: "get", Resource: "nodes", Name: "n1", ResourceRequest: true}
		if d, _, _ := r.Authorize(context.Background(), a); d != authorizer.DecisionNoOpinion {
			t.Errorf("%v: %v", u, d)
		}
	}
}
