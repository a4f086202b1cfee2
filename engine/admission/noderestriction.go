package admission

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	corev1listers "k8s.io/client-go/listers/core/v1"

	"github.com/pintle-io/pintle/engine/auth/node"
)

// nodeRestriction keeps node agents to their own node and the pods bound to it,
// where the node authorizer cannot look into the body of a request.
type nodeRestriction struct {
	operations
	pods corev1listers.PodLister
}

func newNodeRestriction(b *builder) (admission.Interface, error) {
	// Whoever authorized the node has waited for the pods.
	return &nodeRestriction{onEvery, b.Informers.Core().V1().Pods().Lister()}, nil
}

// Validate implements admission.ValidationInterface.
func (n *nodeRestriction) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	name, ok := node.Name(a.GetUserInfo())
	if !ok {
		return nil
	}
	if name == "" {
		return admission.NewForbidden(a, fmt.Errorf("could not determine node from user %q", a.GetUserInfo().GetName()))
	}
	if err := n.check(name, a); err != nil {
		return admission.NewForbidden(a, err)
	}
	return nil
}

func (n *nodeRestriction) check(name string, a admission.Attributes) error {
	switch a.GetResource().GroupResource() {
	case podsResource:
		return n.pod(name, a)
	case nodesResource:
		return ownNode(name, a)
	case claimsResource:
		return claimStatus(name, a)
	case corev1.Resource("serviceaccounts"):
		return n.token(name, a)
	case coordinationv1.Resource("leases"):
		if a.GetNamespace() != corev1.NamespaceNodeLease {
			return fmt.Errorf("can only access leases in namespace %q", corev1.NamespaceNodeLease)
		}
		return named(name, a)
	case storagev1.Resource("csinodes"):
		return named(name, a)
	case resourcev1.Resource("resourceslices"):
		return slice(name, a)
	case csrResource:
		return ownRequest(name, a)
	}
	return nil
}

// nameOf is the name in the request, else that in the body of a create.
func nameOf(a admission.Attributes) string {
	if a.GetName() == "" {
		if m, ok := a.GetObject().(metav1.Object); ok {
			return m.GetName()
		}
	}
	return a.GetName()
}

// named demands that the object has the node's name.
func named(name string, a admission.Attributes) error {
	if got := nameOf(a); got != name {
		return fmt.Errorf("can only access %s with the same name as the requesting node", a.GetResource().Resource)
	}
	return nil
}

func (n *nodeRestriction) pod(name string, a admission.Attributes) error {
	switch a.GetSubresource() {
	case "":
	case "status":
		return n.podStatus(name, a)
	case "eviction":
		return n.eviction(name, a)
	default:
		return fmt.Errorf("unexpected pod subresource %q, only 'status' and 'eviction' are allowed", a.GetSubresource())
	}
	switch a.GetOperation() {
	case admission.Create:
		return n.createPod(name, a)
	case admission.Delete:
		return n.bound(name, a.GetNamespace(), a.GetName(), "delete")
	}
	return fmt.Errorf("unexpected operation %q, node %q can only create and delete mirror pods", a.GetOperation(), name)
}

// createPod lets an agent show the API what it runs by itself.
func (n *nodeRestriction) createPod(name string, a admission.Attributes) error {
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok {
		return fmt.Errorf("unexpected type %T", a.GetObject())
	}
	if _, mirror := pod.Annotations[mirrorAnnotation]; !mirror {
		return fmt.Errorf("pod does not have %q annotation, node %q can only create mirror pods", mirrorAnnotation, name)
	}
	if pod.Spec.NodeName != name {
		return fmt.Errorf("node %q can only create pods with spec.nodeName set to itself", name)
	}
	for i := range pod.OwnerReferences {
		if r := &pod.OwnerReferences[i]; r.Kind != "Node" || r.Name != name {
			return fmt.Errorf("node %q can only create pods with an owner reference set to itself", name)
		}
	}
	return usesAPI(name, pod)
}

func usesAPI(name string, pod *corev1.Pod) error {
	if pod.Spec.ServiceAccountName != "" {
		return fmt.Errorf("node %q can not create pods that reference a service account", name)
	}
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.Secret != nil || v.ConfigMap != nil || v.PersistentVolumeClaim != nil || v.Projected != nil {
			return fmt.Errorf("node %q can not create pods that reference secrets, configmaps, persistentvolumeclaims or projections (volume %q)", name, v.Name)
		}
	}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if len(list[i].EnvFrom) > 0 || slices.ContainsFunc(list[i].Env, func(e corev1.EnvVar) bool {
				return e.ValueFrom != nil && (e.ValueFrom.SecretKeyRef != nil || e.ValueFrom.ConfigMapKeyRef != nil)
			}) {
				return fmt.Errorf("node %q can not create pods that reference secrets or configmaps (container %q)", name, list[i].Name)
			}
		}
	}
	return nil
}

func (n *nodeRestriction) bound(name, namespace, pod, verb string) error {
	existing, err := n.pods.Pods(namespace).Get(pod)
	if err != nil {
		return err
	}
	if existing.Spec.NodeName != name {
		return fmt.Errorf("node %q can only %s pods with spec.nodeName set to itself", name, verb)
	}
	return nil
}

func (n *nodeRestriction) podStatus(name string, a admission.Attributes) error {
	if a.GetOperation() != admission.Update {
		return fmt.Errorf("unexpected operation %q", a.GetOperation())
	}
	old, ok := a.GetOldObject().(*corev1.Pod)
	next, isPod := a.GetObject().(*corev1.Pod)
	if !ok || !isPod {
		return fmt.Errorf("unexpected type %T", a.GetObject())
	}
	if old.Spec.NodeName != name {
		return fmt.Errorf("node %q can only update pod status for pods with spec.nodeName set to itself", name)
	}
	if !equality.Semantic.DeepEqual(old.Labels, next.Labels) {
		return fmt.Errorf("node %q cannot update labels through pod status", name)
	}
	return nil
}

func (n *nodeRestriction) eviction(name string, a admission.Attributes) error {
	if a.GetOperation() != admission.Create {
		return fmt.Errorf("unexpected operation %s", a.GetOperation())
	}
	if _, ok := a.GetObject().(*policyv1.Eviction); !ok {
		return fmt.Errorf("unexpected type %T", a.GetObject())
	}
	pod := nameOf(a)
	if pod == "" {
		return errors.New("could not determine pod from request data")
	}
	return n.bound(name, a.GetNamespace(), pod, "evict")
}

func claimStatus(name string, a admission.Attributes) error {
	old, ok := a.GetOldObject().(*corev1.PersistentVolumeClaim)
	next, isClaim := a.GetObject().(*corev1.PersistentVolumeClaim)
	if a.GetOperation() != admission.Update || a.GetSubresource() != "status" || !ok || !isClaim {
		return fmt.Errorf("node %q may only update the status of persistentvolumeclaims", name)
	}
	before, after := old.DeepCopy(), next.DeepCopy()
	for _, c := range []*corev1.PersistentVolumeClaim{before, after} {
		c.ManagedFields, c.ResourceVersion = nil, ""
		c.Status.Capacity, c.Status.Conditions = nil, nil
		c.Status.AllocatedResources, c.Status.AllocatedResourceStatuses = nil, nil
		c.Status.CurrentVolumeAttributesClassName, c.Status.ModifyVolumeStatus = nil, nil
	}
	if !equality.Semantic.DeepEqual(before, after) {
		return fmt.Errorf("node %q is not allowed to update fields other than status.quantity and status.conditions", name)
	}
	return nil
}

// token demands that tokens are bound to a pod on the node.
func (n *nodeRestriction) token(name string, a admission.Attributes) error {
	if a.GetSubresource() != "token" || a.GetOperation() != admission.Create {
		return nil
	}
	request, ok := a.GetObject().(*authenticationv1.TokenRequest)
	if !ok {
		return fmt.Errorf("unexpected type %T", a.GetObject())
	}
	ref := request.Spec.BoundObjectRef
	switch {
	case ref == nil || ref.APIVersion != "v1" || ref.Kind != "Pod" || ref.Name == "":
		return errors.New("node requested token not bound to a pod")
	case ref.UID == "":
		return errors.New("node requested token with a pod binding without a uid")
	}
	pod, err := n.pods.Pods(a.GetNamespace()).Get(ref.Name)
	if err != nil {
		return err
	}
	if pod.UID != ref.UID {
		return fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID)
	}
	if pod.Spec.NodeName != name {
		return errors.New("node requested token bound to a pod scheduled on a different node")
	}
	return nil
}

func slice(name string, a admission.Attributes) error {
	object := a.GetObject()
	if a.GetOperation() == admission.Delete {
		object = a.GetOldObject()
	}
	s, ok := object.(*resourcev1.ResourceSlice)
	if !ok {
		return nil // the deletion of something that is gone
	}
	if s.Spec.NodeName == nil || *s.Spec.NodeName != name {
		return errors.New("can only create and delete ResourceSlices with the same NodeName as the requesting node")
	}
	return nil
}

// ownRequest demands that a node asks for its own client certificate.
func ownRequest(name string, a admission.Attributes) error {
	csr, ok := subject[*certificatesv1.CertificateSigningRequest](a, csrResource)
	if !ok || a.GetOperation() != admission.Create {
		return nil
	}
	if csr.Spec.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName && csr.Spec.SignerName != certificatesv1.KubeletServingSignerName {
		return nil
	}
	request, err := parseRequest(csr.Spec.Request)
	if err != nil {
		return fmt.Errorf("unable to parse csr: %w", err)
	}
	if request.Subject.CommonName != node.UserPrefix+name {
		return errors.New("can only create a node CSR with CN=" + node.UserPrefix + name)
	}
	return nil
}

// ownNode keeps an agent to its own Node, its taints and its labels.
func ownNode(name string, a admission.Attributes) error {
	if got := nameOf(a); got != name {
		return fmt.Errorf("node %q is not allowed to modify node %q", name, got)
	}
	if a.GetOperation() == admission.Delete {
		return fmt.Errorf("node %q cannot delete Node objects", name)
	}
	next, ok := a.GetObject().(*corev1.Node)
	if !ok {
		return fmt.Errorf("unexpected type %T", a.GetObject())
	}
	var before map[string]string
	if a.GetOperation() == admission.Update {
		old, ok := a.GetOldObject().(*corev1.Node)
		if !ok {
			return fmt.Errorf("unexpected type %T", a.GetOldObject())
		}
		before = old.Labels
		if !equality.Semantic.DeepEqual(old.Spec.Taints, next.Spec.Taints) {
			return fmt.Errorf("node %q is not allowed to modify taints", name)
		}
		if !equality.Semantic.DeepEqual(old.OwnerReferences, next.OwnerReferences) {
			return fmt.Errorf("node %q is not allowed to modify ownerReferences", name)
		}
	} else if next.Spec.ConfigSource != nil {
		return fmt.Errorf("node %q is not allowed to create pods with a non-nil configSource", name)
	}
	if changed := forbiddenLabels(before, next.Labels); len(changed) > 0 {
		return fmt.Errorf("is not allowed to modify labels: %s", strings.Join(changed, ", "))
	}
	return nil
}

// agentLabels are the labels of kubernetes.io that an agent may set on its node.
var agentLabels = []string{
	corev1.LabelHostname, corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaZone,
	corev1.LabelFailureDomainBetaRegion, corev1.LabelInstanceType, corev1.LabelInstanceTypeStable, corev1.LabelOSStable,
	corev1.LabelArchStable, "beta.kubernetes.io/os", "beta.kubernetes.io/arch", corev1.LabelWindowsBuild,
}

var agentLabelDomains = []string{"kubelet.kubernetes.io", corev1.LabelNamespaceSuffixNode}

// forbiddenLabels returns the labels that changed and are not an agent's to set.
func forbiddenLabels(before, after map[string]string) []string {
	var out []string
	note := func(key string) {
		if reserved(key) && !slices.Contains(out, key) {
			out = append(out, key)
		}
	}
	for key, value := range after {
		if old, ok := before[key]; !ok || old != value {
			note(key)
		}
	}
	for key := range before {
		if _, ok := after[key]; !ok {
			note(key)
		}
	}
	slices.Sort(out)
	return out
}

func reserved(key string) bool {
	domain, _, ok := strings.Cut(key, "/")
	if !ok || slices.Contains(agentLabels, key) {
		return false
	}
	under := func(suffix string) bool { return domain == suffix || strings.HasSuffix(domain, "."+suffix) }
	if slices.ContainsFunc(agentLabelDomains, under) {
		return false
	}
	return under("kubernetes.io") || under("k8s.io")
}
