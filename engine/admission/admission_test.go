package admission

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
)

// newBuilder gives plugins a factory whose caches hold objs.
func newBuilder(t *testing.T, objs ...runtime.Object) *builder {
	t.Helper()
	factory := informers.NewSharedInformerFactory(fake.NewClientset(), 0)
	for _, obj := range objs {
		if err := informerOf(factory, obj).GetIndexer().Add(obj); err != nil {
			t.Fatal(err)
		}
	}
	return &builder{chain: &Chain{}, Config: Config{Informers: factory, Client: fake.NewClientset(), Authorizer: onlyAdmin, Plugins: noConfig{}}}
}

func informerOf(f informers.SharedInformerFactory, obj runtime.Object) cache.SharedIndexInformer {
	switch obj.(type) {
	case *corev1.ServiceAccount:
		return f.Core().V1().ServiceAccounts().Informer()
	case *corev1.Namespace:
		return f.Core().V1().Namespaces().Informer()
	case *corev1.LimitRange:
		return f.Core().V1().LimitRanges().Informer()
	case *corev1.Pod:
		return f.Core().V1().Pods().Informer()
	case *schedulingv1.PriorityClass:
		return f.Scheduling().V1().PriorityClasses().Informer()
	case *storagev1.StorageClass:
		return f.Storage().V1().StorageClasses().Informer()
	case *networkingv1.IngressClass:
		return f.Networking().V1().IngressClasses().Informer()
	case *nodev1.RuntimeClass:
		return f.Node().V1().RuntimeClasses().Informer()
	}
	panic("no informer")
}

var onlyAdmin = authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetUser().GetName() == "admin" {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "no", nil
})

// request is what a test sends; the zero operation is Create.
type request struct {
	obj, old    runtime.Object
	resource    schema.GroupVersionResource
	subresource string
	op          admission.Operation
	name        string
	user        string
}

func (r request) attributes() admission.Attributes {
	if r.op == "" {
		r.op = admission.Create
	}
	if r.user == "" {
		r.user = "ann"
	}
	who := &user.DefaultInfo{Name: r.user}
	if strings.HasPrefix(r.user, "system:node:") {
		who.Groups = []string{user.NodesGroup}
	}
	namespace := "ns"
	if m, ok := r.obj.(metav1.Object); ok {
		namespace = m.GetNamespace()
		if r.name == "" && r.op != admission.Create {
			r.name = m.GetName()
		}
	}
	return admission.NewAttributesRecord(r.obj, r.old, schema.GroupVersionKind{}, namespace, r.name, r.resource, r.subresource, r.op, nil, false, who)
}

// run sends a request through one plugin: mutation, then validation.
func run(p admission.Interface, r request) error {
	a := r.attributes()
	if !p.Handles(a.GetOperation()) {
		return nil
	}
	if m, ok := p.(admission.MutationInterface); ok {
		if err := m.Admit(context.Background(), a, nil); err != nil {
			return err
		}
	}
	if v, ok := p.(admission.ValidationInterface); ok {
		return v.Validate(context.Background(), a, nil)
	}
	return nil
}

// check runs a request and wants it refused with a text, or allowed if empty.
func check(t *testing.T, p admission.Interface, r request, refused string) {
	t.Helper()
	err := run(p, r)
	switch {
	case refused == "" && err != nil:
		t.Errorf("refused: %v", err)
	case refused != "" && (err == nil || !strings.Contains(err.Error(), refused)):
		t.Errorf("error %v, want %q", err, refused)
	case refused != "" && !apierrors.IsForbidden(err):
		t.Errorf("error %v is not Forbidden", err)
	}
}

func plugin(t *testing.T, make func(*builder) (admission.Interface, error), objs ...runtime.Object) admission.Interface {
	t.Helper()
	p, err := make(newBuilder(t, objs...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var (
	pods   = corev1.SchemeGroupVersion.WithResource("pods")
	nodes  = corev1.SchemeGroupVersion.WithResource("nodes")
	claimR = corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims")
	csrs   = certificatesv1.SchemeGroupVersion.WithResource("certificatesigningrequests")
)

func in(ns, name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }

func newPod(change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: in("ns", "p"), Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	for _, f := range change {
		f(pod)
	}
	return pod
}

func account(name string, change ...func(*corev1.ServiceAccount)) *corev1.ServiceAccount {
	a := &corev1.ServiceAccount{ObjectMeta: in("ns", name)}
	for _, f := range change {
		f(a)
	}
	return a
}

func ptr[T any](v T) *T { return &v }

func TestServiceAccountMountsToken(t *testing.T) {
	p := plugin(t, newServiceAccount,
		account("default", func(a *corev1.ServiceAccount) {
			a.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
		}),
		account("quiet", func(a *corev1.ServiceAccount) { a.AutomountServiceAccountToken = ptr(false) }))

	pod := newPod(func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{Name: "init"}} })
	check(t, p, request{obj: pod, resource: pods}, "")
	if pod.Spec.ServiceAccountName != "default" || len(pod.Spec.ImagePullSecrets) != 1 || len(pod.Spec.Volumes) != 1 {
		t.Fatalf("%+v", pod.Spec)
	}
	volume := pod.Spec.Volumes[0]
	if !strings.HasPrefix(volume.Name, "kube-api-access-") || len(volume.Projected.Sources) != 3 {
		t.Errorf("volume %+v", volume)
	}
	for _, c := range []corev1.Container{pod.Spec.Containers[0], pod.Spec.InitContainers[0]} {
		want := []corev1.VolumeMount{{Name: volume.Name, ReadOnly: true, MountPath: tokenMountPath}}
		if diff := cmp.Diff(want, c.VolumeMounts); diff != "" {
			t.Error(diff)
		}
	}
	before := pod.DeepCopy()
	check(t, p, request{obj: pod, resource: pods}, "")
	if diff := cmp.Diff(before, pod); diff != "" {
		t.Errorf("a second pass changed the pod: %s", diff)
	}

	for name, change := range map[string]func(*corev1.Pod){
		"account says no": func(p *corev1.Pod) { p.Spec.ServiceAccountName = "quiet" },
		"pod says no":     func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = ptr(false) },
		"mounted by hand": func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "own", MountPath: tokenMountPath}}
		},
	} {
		pod := newPod(change)
		check(t, p, request{obj: pod, resource: pods}, "")
		if len(pod.Spec.Volumes) != 0 {
			t.Errorf("%s: volume added", name)
		}
	}
	check(t, p, request{obj: newPod(func(p *corev1.Pod) { p.Spec.ServiceAccountName = "none" }), resource: pods}, "error looking up service account ns/none")
	mirror := func(p *corev1.Pod) { p.Annotations = map[string]string{mirrorAnnotation: "x"} }
	check(t, p, request{obj: newPod(mirror), resource: pods}, "")
	check(t, p, request{obj: newPod(mirror, func(p *corev1.Pod) { p.Spec.ServiceAccountName = "default" }), resource: pods}, "mirror pod may not reference service accounts")
}

func TestServiceAccountWaitsForDefault(t *testing.T) {
	b := newBuilder(t)
	p, err := newServiceAccount(b)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- run(p, request{obj: newPod(), resource: pods}) }()
	if err := b.Informers.Core().V1().ServiceAccounts().Informer().GetIndexer().Add(account("default")); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTolerations(t *testing.T) {
	p := plugin(t, newTolerations)
	for _, tc := range []struct {
		have []corev1.Toleration
		want int
	}{
		{nil, 2},
		{[]corev1.Toleration{{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoExecute}}, 2},
		{[]corev1.Toleration{{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}}, 3},
		{[]corev1.Toleration{{Operator: corev1.TolerationOpExists}}, 1},
	} {
		pod := newPod(func(p *corev1.Pod) { p.Spec.Tolerations = tc.have })
		check(t, p, request{obj: pod, resource: pods}, "")
		if len(pod.Spec.Tolerations) != tc.want {
			t.Errorf("%v: %v", tc.have, pod.Spec.Tolerations)
		}
	}
}

func TestPriority(t *testing.T) {
	class := func(name string, value int32, global bool) *schedulingv1.PriorityClass {
		return &schedulingv1.PriorityClass{ObjectMeta: in("", name), Value: value, GlobalDefault: global, PreemptionPolicy: ptr(corev1.PreemptNever)}
	}
	bare := plugin(t, newPriority, class("high", 100, false))
	pod := newPod()
	check(t, bare, request{obj: pod, resource: pods}, "")
	if *pod.Spec.Priority != 0 || *pod.Spec.PreemptionPolicy != corev1.PreemptLowerPriority || pod.Spec.PriorityClassName != "" {
		t.Errorf("%+v", pod.Spec)
	}
	p := plugin(t, newPriority, class("high", 100, false), class("usual", 7, true))
	for _, tc := range []struct {
		class   string
		given   *int32
		want    int32
		refused string
	}{
		{"", nil, 7, ""},
		{"high", nil, 100, ""},
		{"high", ptr[int32](100), 100, ""},
		{"high", ptr[int32](5), 0, "must not be provided"},
		{"none", nil, 0, "no PriorityClass with name none was found"},
	} {
		pod := newPod(func(p *corev1.Pod) { p.Spec.PriorityClassName, p.Spec.Priority = tc.class, tc.given })
		check(t, p, request{obj: pod, resource: pods}, tc.refused)
		if tc.refused == "" && *pod.Spec.Priority != tc.want {
			t.Errorf("%q: priority %d, want %d", tc.class, *pod.Spec.Priority, tc.want)
		}
	}
	old := newPod(func(p *corev1.Pod) { p.Spec.Priority = ptr[int32](9) })
	next := newPod()
	check(t, p, request{obj: next, old: old, op: admission.Update, resource: pods}, "")
	if next.Spec.Priority == nil || *next.Spec.Priority != 9 {
		t.Error("an update lost the priority")
	}
	classes := schedulingv1.SchemeGroupVersion.WithResource("priorityclasses")
	check(t, p, request{obj: class("second", 1, true), resource: classes}, "already marked as default")
	check(t, p, request{obj: class("usual", 8, true), old: class("usual", 7, true), op: admission.Update, resource: classes}, "")
}

func TestRuntimeClass(t *testing.T) {
	overhead := corev1.ResourceList{"memory": resource.MustParse("64Mi")}
	p := plugin(t, newRuntimeClass, &nodev1.RuntimeClass{ObjectMeta: in("", "vm"), Handler: "vm",
		Overhead:   &nodev1.Overhead{PodFixed: overhead},
		Scheduling: &nodev1.Scheduling{NodeSelector: map[string]string{"kvm": "yes"}, Tolerations: []corev1.Toleration{{Key: "vm"}}}})
	named := func(n string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.RuntimeClassName = &n } }
	pod := newPod(named("vm"))
	check(t, p, request{obj: pod, resource: pods}, "")
	if !cmp.Equal(pod.Spec.Overhead, overhead) || pod.Spec.NodeSelector["kvm"] != "yes" || len(pod.Spec.Tolerations) != 1 {
		t.Errorf("%+v", pod.Spec)
	}
	check(t, p, request{obj: newPod(named("none")), resource: pods}, `RuntimeClass "none" not found`)
	check(t, p, request{obj: newPod(named("vm"), func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"kvm": "no"} }), resource: pods}, "conflict")
	check(t, p, request{obj: newPod(func(p *corev1.Pod) { p.Spec.Overhead = overhead }), resource: pods}, "Overhead set without")
}

func TestDefaultClasses(t *testing.T) {
	at := func(n string, age time.Duration, annotation string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: n, Annotations: map[string]string{annotation: "true"}, CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-age))}
	}
	storage := plugin(t, newStorageClass,
		&storagev1.StorageClass{ObjectMeta: at("old", time.Hour, defaultStorageAnnotation)},
		&storagev1.StorageClass{ObjectMeta: at("new-b", 0, defaultStorageAnnotation)},
		&storagev1.StorageClass{ObjectMeta: at("new-a", 0, defaultStorageAnnotation)},
		&storagev1.StorageClass{ObjectMeta: at("plain", 0, "x")})
	for _, tc := range []struct{ given, want *string }{{nil, ptr("new-a")}, {ptr(""), ptr("")}, {ptr("plain"), ptr("plain")}} {
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: in("ns", "c"), Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: tc.given}}
		check(t, storage, request{obj: claim, resource: claimR}, "")
		if diff := cmp.Diff(tc.want, claim.Spec.StorageClassName); diff != "" {
			t.Error(diff)
		}
	}
	ingress := plugin(t, newIngressClass, &networkingv1.IngressClass{ObjectMeta: at("nginx", 0, networkingv1.AnnotationIsDefaultIngressClass)})
	ing := &networkingv1.Ingress{ObjectMeta: in("ns", "i")}
	check(t, ingress, request{obj: ing, resource: networkingv1.SchemeGroupVersion.WithResource("ingresses")}, "")
	if ing.Spec.IngressClassName == nil || *ing.Spec.IngressClassName != "nginx" {
		t.Errorf("%v", ing.Spec.IngressClassName)
	}
}

func TestFinalizersAndTaints(t *testing.T) {
	protection := plugin(t, newStorageProtection)
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: in("ns", "c")}
	for range 2 {
		check(t, protection, request{obj: claim, resource: claimR}, "")
	}
	if diff := cmp.Diff([]string{"kubernetes.io/pvc-protection"}, claim.Finalizers); diff != "" {
		t.Error(diff)
	}
	taint := plugin(t, newNodeTaint)
	n := &corev1.Node{ObjectMeta: in("", "n")}
	for range 2 {
		check(t, taint, request{obj: n, resource: nodes}, "")
	}
	if len(n.Spec.Taints) != 1 || n.Spec.Taints[0].Key != corev1.TaintNodeNotReady {
		t.Errorf("%v", n.Spec.Taints)
	}
}

func list(pairs ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return out
}

func TestLimitRanger(t *testing.T) {
	p := plugin(t, newLimitRanger, &corev1.LimitRange{ObjectMeta: in("ns", "l"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{
		{Type: corev1.LimitTypeContainer, Default: list("cpu", "200m"), DefaultRequest: list("cpu", "100m"),
			Min: list("cpu", "50m"), Max: list("cpu", "1"), MaxLimitRequestRatio: list("cpu", "4")},
		{Type: corev1.LimitTypePod, Max: list("memory", "1Gi")},
		{Type: corev1.LimitTypePersistentVolumeClaim, Min: list("storage", "1Gi"), Max: list("storage", "5Gi")},
	}}})
	sized := func(request, limit string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: list("cpu", request), Limits: list("cpu", limit, "memory", "512Mi")}
		}
	}
	pod := newPod(func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Limits = list("memory", "512Mi") })
	check(t, p, request{obj: pod, resource: pods}, "")
	r := pod.Spec.Containers[0].Resources
	if r.Requests.Cpu().String() != "100m" || r.Limits.Cpu().String() != "200m" {
		t.Errorf("%v", r)
	}
	if got := pod.Annotations[limitAnnotation]; got != "LimitRanger plugin set: cpu request for container c; cpu limit for container c" {
		t.Error(got)
	}
	for _, tc := range []struct {
		change  func(*corev1.Pod)
		refused string
	}{
		{sized("100m", "400m"), ""},
		{sized("10m", "40m"), "minimum cpu usage per Container is 50m, but limit is 40m"},
		{sized("10m", "100m"), "minimum cpu usage per Container is 50m, but request is 10m"},
		{sized("600m", "2"), "maximum cpu usage per Container is 1, but limit is 2"},
		{sized("100m", "900m"), "cpu max limit to request ratio per Container is 4, but provided ratio is 9.000000"},
		{func(*corev1.Pod) {}, "maximum memory usage per Pod is 1Gi.  No limit is specified"},
		{func(p *corev1.Pod) {
			sized("100m", "200m")(p)
			p.Spec.Containers = append(p.Spec.Containers, p.Spec.Containers[0], p.Spec.Containers[0])
		}, "maximum memory usage per Pod is 1Gi, but limit is 1536Mi"},
	} {
		check(t, p, request{obj: newPod(tc.change), resource: pods}, tc.refused)
	}
	for size, refused := range map[string]string{"2Gi": "", "6Gi": "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi", "1Mi": "minimum storage usage"} {
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: in("ns", "c")}
		claim.Spec.Resources.Requests = list("storage", size)
		check(t, p, request{obj: claim, resource: claimR}, refused)
	}
	check(t, p, request{obj: newPod(), old: newPod(), op: admission.Update, resource: pods}, "")
}

func TestPodSecurity(t *testing.T) {
	namespace := func(name string, labels map[string]string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	}
	p := plugin(t, newPodSecurity, namespace("ns", map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}), namespace("free", nil))
	privileged := func(p *corev1.Pod) {
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr(true)}
	}
	check(t, p, request{obj: newPod(), resource: pods}, "")
	check(t, p, request{obj: newPod(privileged), resource: pods}, `violates PodSecurity "baseline:latest": privileged (container "c" must not set securityContext.privileged=true)`)
	check(t, p, request{obj: newPod(privileged, func(p *corev1.Pod) { p.Namespace = "free" }), resource: pods}, "")
	bad := namespace("new", map[string]string{"pod-security.kubernetes.io/enforce": "nonsense"})
	if err := run(p, request{obj: bad, resource: corev1.SchemeGroupVersion.WithResource("namespaces")}); !apierrors.IsInvalid(err) {
		t.Errorf("a bad label: %v", err)
	}
}

func TestOwnerReferences(t *testing.T) {
	p := plugin(t, newOwnerReferences)
	owned := func(block bool) *corev1.Pod {
		return newPod(func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "r", UID: "u", BlockOwnerDeletion: &block}}
		})
	}
	check(t, p, request{obj: owned(false), resource: pods}, "")
	check(t, p, request{obj: owned(true), resource: pods}, "cannot set blockOwnerDeletion")
	check(t, p, request{obj: owned(true), resource: pods, user: "admin"}, "")
	check(t, p, request{obj: owned(true), old: owned(true), op: admission.Update, resource: pods}, "")
	check(t, p, request{obj: owned(false), old: newPod(), op: admission.Update, resource: pods}, "cannot set an ownerRef on a resource you can't delete")
}

func certificateRequest(t *testing.T, signer, cn string, orgs ...string) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn, Organization: orgs}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &certificatesv1.CertificateSigningRequest{ObjectMeta: in("", "csr"), Spec: certificatesv1.CertificateSigningRequestSpec{
		SignerName: signer, Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})}}
}

func TestCertificates(t *testing.T) {
	approve, sign, subject := plugin(t, newCertificateApproval), plugin(t, newCertificateSigning), plugin(t, newCertificateSubject)
	csr := certificateRequest(t, "example.com/x", "ann")
	signed := csr.DeepCopy()
	signed.Status.Certificate = []byte("x")
	update := func(sub, who string) request {
		return request{obj: signed, old: csr, op: admission.Update, resource: csrs, subresource: sub, user: who}
	}
	check(t, approve, update("approval", "ann"), `not permitted to approve requests with signerName "example.com/x"`)
	check(t, approve, update("approval", "admin"), "")
	check(t, sign, update("status", "ann"), "not permitted to sign")
	check(t, sign, update("status", "admin"), "")
	check(t, sign, request{obj: csr, old: csr, op: admission.Update, resource: csrs, subresource: "status"}, "")
	check(t, subject, request{obj: certificateRequest(t, certificatesv1.KubeAPIServerClientSignerName, "x", "system:masters"), resource: csrs}, "system:masters group is not allowed")
	check(t, subject, request{obj: certificateRequest(t, certificatesv1.KubeAPIServerClientSignerName, "x", "dev"), resource: csrs}, "")
}

func TestNodeRestriction(t *testing.T) {
	onNode := func(n string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = n } }
	called := func(n string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Name, p.UID = n, "uid-"+"x" } }
	p := plugin(t, newNodeRestriction, newPod(onNode("n1"), called("mine")), newPod(onNode("n2"), called("theirs")))
	node := func(name string, labels map[string]string, taints ...corev1.Taint) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: corev1.NodeSpec{Taints: taints}}
	}
	mirror := func(p *corev1.Pod) { p.Annotations = map[string]string{mirrorAnnotation: "x"} }
	token := func(pod, uid string) *authenticationv1.TokenRequest {
		r := &authenticationv1.TokenRequest{ObjectMeta: in("ns", "default")}
		if pod != "" {
			r.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod, UID: "uid-x"}
			r.Spec.BoundObjectRef.UID = "uid-" + "x"
			if uid != "" {
				r.Spec.BoundObjectRef.UID = "other"
			}
		}
		return r
	}
	accounts := corev1.SchemeGroupVersion.WithResource("serviceaccounts")
	leases := coordinationv1.SchemeGroupVersion.WithResource("leases")
	lease := func(ns, name string) *coordinationv1.Lease { return &coordinationv1.Lease{ObjectMeta: in(ns, name)} }
	for name, tc := range map[string]struct {
		request
		refused string
	}{
		"own node":           {request{obj: node("n1", map[string]string{corev1.LabelHostname: "n1", "node.kubernetes.io/x": "y", "mine": "z"}), resource: nodes}, ""},
		"other node":         {request{obj: node("n2", nil), resource: nodes}, `is not allowed to modify node "n2"`},
		"reserved label":     {request{obj: node("n1", map[string]string{"node-role.kubernetes.io/control-plane": ""}), resource: nodes}, "is not allowed to modify labels: node-role.kubernetes.io/control-plane"},
		"removed label":      {request{obj: node("n1", nil), old: node("n1", map[string]string{"node-restriction.kubernetes.io/a": "b"}), op: admission.Update, resource: nodes}, "node-restriction.kubernetes.io/a"},
		"taints on create":   {request{obj: node("n1", nil, corev1.Taint{Key: "k"}), resource: nodes}, ""},
		"taints on update":   {request{obj: node("n1", nil, corev1.Taint{Key: "k"}), old: node("n1", nil), op: admission.Update, resource: nodes}, "modify taints"},
		"delete node":        {request{op: admission.Delete, name: "n1", resource: nodes}, "cannot delete"},
		"plain pod":          {request{obj: newPod(onNode("n1")), resource: pods}, "can only create mirror pods"},
		"mirror pod":         {request{obj: newPod(onNode("n1"), mirror), resource: pods}, ""},
		"mirror elsewhere":   {request{obj: newPod(onNode("n2"), mirror), resource: pods}, "spec.nodeName set to itself"},
		"delete own pod":     {request{op: admission.Delete, name: "mine", resource: pods}, ""},
		"delete another's":   {request{op: admission.Delete, name: "theirs", resource: pods}, "can only delete pods"},
		"own status":         {request{obj: newPod(onNode("n1")), old: newPod(onNode("n1")), op: admission.Update, resource: pods, subresource: "status"}, ""},
		"another's status":   {request{obj: newPod(onNode("n2")), old: newPod(onNode("n2")), op: admission.Update, resource: pods, subresource: "status"}, "can only update pod status"},
		"evict own":          {request{obj: &policyv1.Eviction{ObjectMeta: in("ns", "mine")}, resource: pods, subresource: "eviction"}, ""},
		"evict another's":    {request{obj: &policyv1.Eviction{ObjectMeta: in("ns", "theirs")}, resource: pods, subresource: "eviction"}, "can only evict"},
		"token for own pod":  {request{obj: token("mine", ""), resource: accounts, subresource: "token"}, ""},
		"token for others":   {request{obj: token("theirs", ""), resource: accounts, subresource: "token"}, "different node"},
		"token unbound":      {request{obj: token("", ""), resource: accounts, subresource: "token"}, "not bound to a pod"},
		"token for old pod":  {request{obj: token("mine", "x"), resource: accounts, subresource: "token"}, "does not match the UID"},
		"own lease":          {request{obj: lease("kube-node-lease", "n1"), resource: leases}, ""},
		"another's lease":    {request{obj: lease("kube-node-lease", "n2"), resource: leases}, "same name"},
		"lease elsewhere":    {request{obj: lease("ns", "n1"), resource: leases}, "kube-node-lease"},
		"own certificate":    {request{obj: certificateRequest(t, certificatesv1.KubeletServingSignerName, "system:node:n1"), resource: csrs}, ""},
		"another's identity": {request{obj: certificateRequest(t, certificatesv1.KubeletServingSignerName, "system:node:n2"), resource: csrs}, "CN=system:node:n1"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.user = "system:node:n1"
			check(t, p, tc.request, tc.refused)
		})
	}
	check(t, p, request{obj: node("n2", nil), resource: nodes, user: "ann"}, "")
}

func TestChain(t *testing.T) {
	namespace := &corev1.Namespace{ObjectMeta: in("", "ns"), Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}
	ending := &corev1.Namespace{ObjectMeta: in("", "ending"), Status: corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating}}
	client := fake.NewClientset(namespace, ending, account("default"))
	factory := informers.NewSharedInformerFactory(client, 0)
	var refused []string
	chain, err := New(Config{Informers: factory, Client: client, Authorizer: onlyAdmin, Refused: func(plugin string, a admission.Attributes, err error) {
		refused = append(refused, plugin+" "+a.GetNamespace())
	}})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	factory.Start(stop)
	t.Cleanup(func() { close(stop); factory.Shutdown() })

	pod := newPod()
	check(t, chain, request{obj: pod, resource: pods}, "")
	if pod.Spec.ServiceAccountName != "default" || pod.Spec.Priority == nil || len(pod.Spec.Tolerations) != 2 {
		t.Errorf("%+v", pod.Spec)
	}
	check(t, chain, request{obj: newPod(func(p *corev1.Pod) { p.Namespace = "ending" }), resource: pods}, "it is being terminated")
	if err := run(chain, request{obj: newPod(func(p *corev1.Pod) { p.Namespace = "none" }), resource: pods}); !apierrors.IsNotFound(err) {
		t.Errorf("a namespace that is not there: %v", err)
	}
	if want := []string{NamespaceLifecycle + " ending", NamespaceLifecycle + " none"}; !slices.Equal(refused, want) {
		t.Errorf("%q were made known, want %q", refused, want)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("an empty configuration was accepted")
	}
}

func pemOf(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }

func TestClaimsGrowIfTheirClassAllowsIt(t *testing.T) {
	yes := true
	p := plugin(t, newClaimResize, &storagev1.StorageClass{ObjectMeta: in("", "grows"), AllowVolumeExpansion: &yes}, &storagev1.StorageClass{ObjectMeta: in("", "fixed")})
	claim := func(class, size string, phase corev1.PersistentVolumeClaimPhase) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: in("ns", "c"), Status: corev1.PersistentVolumeClaimStatus{Phase: phase}, Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class, Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse(size)}},
		}}
	}
	for _, tc := range []struct {
		class, size string
		phase       corev1.PersistentVolumeClaimPhase
		want        string
	}{
		{"grows", "2Gi", corev1.ClaimBound, ""}, {"fixed", "1Gi", corev1.ClaimPending, ""},
		{"grows", "2Gi", corev1.ClaimPending, "Only bound"}, {"fixed", "2Gi", corev1.ClaimBound, "must support resize"},
	} {
		check(t, p, request{obj: claim(tc.class, tc.size, tc.phase), old: claim(tc.class, "1Gi", tc.phase), resource: claimR, op: admission.Update}, tc.want)
	}
}
