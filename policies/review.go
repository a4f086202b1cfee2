package policies

import (
	"encoding/json"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
)

// review is a request under review. It becomes JSON, input.review of the rules,
// only if a constraint matches.
type review struct {
	attributes admission.Attributes
	kind       schema.GroupVersionKind
	namespace  string // empty for objects of the cluster's scope, Namespaces too
	object     metav1.Object
	namespaces func(name string) (*corev1.Namespace, error)
}

func newReview(a admission.Attributes, namespaces func(string) (*corev1.Namespace, error)) (*review, error) {
	object, err := meta.Accessor(a.GetObject())
	if err != nil {
		return nil, fmt.Errorf("read metadata of %s: %w", a.GetKind(), err)
	}
	r := &review{attributes: a, kind: a.GetKind(), namespace: a.GetNamespace(), object: object, namespaces: namespaces}
	if r.isNamespace() {
		r.namespace = ""
	}
	return r, nil
}

func (r *review) isNamespace() bool { return r.kind.Group == "" && r.kind.Kind == "Namespace" }

func (r *review) labels() map[string]string { return r.object.GetLabels() }

// objectName is the object's name, or what the server will begin it with.
func (r *review) objectName() string {
	if name := r.attributes.GetName(); name != "" {
		return name
	}
	if name := r.object.GetName(); name != "" {
		return name
	}
	return r.object.GetGenerateName()
}

func (r *review) lookupNamespace() (*corev1.Namespace, error) { return r.namespaces(r.namespace) }

// GetAdmissionRequest tells the framework the operation, which templates may
// limit themselves to.
func (r *review) GetAdmissionRequest() *admissionv1.AdmissionRequest {
	return &admissionv1.AdmissionRequest{Operation: admissionv1.Operation(r.attributes.GetOperation())}
}

// MarshalJSON makes the request as Gatekeeper's rules expect it.
func (r *review) MarshalJSON() ([]byte, error) {
	a := r.attributes
	object, err := encode(a.GetObject(), r.kind)
	if err != nil {
		return nil, err
	}
	old, err := encode(a.GetOldObject(), r.kind)
	if err != nil {
		return nil, err
	}
	dryRun := a.IsDryRun()
	request := struct {
		admissionv1.AdmissionRequest
		Unstable struct {
			Namespace *corev1.Namespace `json:"namespace,omitempty"`
		} `json:"_unstable"`
	}{AdmissionRequest: admissionv1.AdmissionRequest{
		Kind:        metav1.GroupVersionKind(r.kind),
		Resource:    metav1.GroupVersionResource(a.GetResource()),
		SubResource: a.GetSubresource(),
		Name:        a.GetName(),
		Namespace:   r.namespace,
		Operation:   admissionv1.Operation(a.GetOperation()),
		Object:      object,
		OldObject:   old,
		DryRun:      &dryRun,
	}}
	if u := a.GetUserInfo(); u != nil {
		request.UserInfo = authenticationv1.UserInfo{Username: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups()}
	}
	if r.namespace != "" {
		if ns, err := r.lookupNamespace(); err == nil {
			request.Unstable.Namespace = ns
		}
	}
	return json.Marshal(request)
}

// encode adds apiVersion and kind, which typed objects of this server lack.
func encode(obj runtime.Object, kind schema.GroupVersionKind) (runtime.RawExtension, error) {
	if obj == nil {
		return runtime.RawExtension{}, nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return runtime.RawExtension{}, fmt.Errorf("encode %s: %w", kind, err)
	}
	object := make(map[string]any, len(content)+2)
	for k, v := range content {
		object[k] = v
	}
	object["apiVersion"], object["kind"] = kind.GroupVersion().String(), kind.Kind
	data, err := json.Marshal(object)
	return runtime.RawExtension{Raw: data}, err
}
