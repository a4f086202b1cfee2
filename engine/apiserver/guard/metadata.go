package guard

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
)

const (
	// MetadataEntries bounds the labels, owners, finalizers and managers of an
	// object, each; longestText the texts among them. Validation tells of every
	// single one that is wrong, in words that repeat it.
	MetadataEntries = 4096
	longestText     = 1024
)

// Metadata refuses objects whose metadata is out of all proportion, before next
// and before validation.
type Metadata struct{ Next admission.Interface }

var (
	_ admission.MutationInterface   = Metadata{}
	_ admission.ValidationInterface = Metadata{}
)

// Handles implements admission.Interface.
func (Metadata) Handles(admission.Operation) bool { return true }

// Admit implements admission.MutationInterface.
func (m Metadata) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if err := checkMetadata(a); err != nil {
		return err
	}
	if next, ok := m.Next.(admission.MutationInterface); ok && next.Handles(a.GetOperation()) {
		return next.Admit(ctx, a, o)
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (m Metadata) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if next, ok := m.Next.(admission.ValidationInterface); ok && next.Handles(a.GetOperation()) {
		return next.Validate(ctx, a, o)
	}
	return nil
}

func checkMetadata(a admission.Attributes) error {
	if op := a.GetOperation(); op != admission.Create && op != admission.Update || a.GetObject() == nil {
		return nil
	}
	if deepObject(a.GetObject()) {
		return apierrors.NewBadRequest(errDepth.Error())
	}
	object, err := meta.Accessor(a.GetObject())
	if err != nil {
		return nil
	}
	if errs := metadataOf(object).errors(); len(errs) > 0 {
		return apierrors.NewInvalid(a.GetKind().GroupKind(), head(object.GetName()), errs)
	}
	return nil
}

// metadata is what of an object's metadata can be out of proportion. Members other
// than labels are counted only.
type metadata struct {
	Name            string            `json:"name"`
	GenerateName    string            `json:"generateName"`
	Namespace       string            `json:"namespace"`
	Labels          map[string]string `json:"labels"`
	OwnerReferences []struct{}        `json:"ownerReferences"`
	Finalizers      []struct{}        `json:"finalizers"`
	ManagedFields   []struct{}        `json:"managedFields"`
}

func metadataOf(o metav1.Object) *metadata {
	return &metadata{
		Name: o.GetName(), GenerateName: o.GetGenerateName(), Namespace: o.GetNamespace(), Labels: o.GetLabels(),
		OwnerReferences: make([]struct{}, len(o.GetOwnerReferences())),
		Finalizers:      make([]struct{}, len(o.GetFinalizers())),
		ManagedFields:   make([]struct{}, len(o.GetManagedFields())),
	}
}

func (m *metadata) errors() field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("metadata")
	for _, list := range []struct {
		name string
		size int
	}{
		{"labels", len(m.Labels)},
		{"ownerReferences", len(m.OwnerReferences)},
		{"finalizers", len(m.Finalizers)},
		{"managedFields", len(m.ManagedFields)},
	} {
		if list.size > MetadataEntries {
			errs = append(errs, field.TooMany(path.Child(list.name), list.size, MetadataEntries))
		}
	}
	for name, text := range map[string]string{"name": m.Name, "generateName": m.GenerateName, "namespace": m.Namespace} {
		if len(text) > longestText {
			errs = append(errs, field.TooLong(path.Child(name), "", longestText))
		}
	}
	for key, value := range m.Labels {
		if len(key) > longestText || len(value) > longestText {
			errs = append(errs, field.Invalid(path.Child("labels"), head(key)+"="+head(value), "no part of a label may be more than 253 bytes"))
			break
		}
	}
	return errs
}

// metadataIn finds the metadata in a body before it is decoded: the library compares
// every owner of a new object with every other one. In a JSON patch there is none;
// what it leads to is seen on admission.
func metadataIn(body []byte, media string) *metadata {
	var object struct {
		Metadata metadata `json:"metadata"`
	}
	switch media {
	case runtime.ContentTypeProtobuf:
		return metadataInProtobuf(body)
	case string(types.JSONPatchType):
		return &metadata{}
	case runtime.ContentTypeYAML, string(types.ApplyYAMLPatchType):
		body = inJSON(body)
	}
	// A member of another type is left out and does not keep the rest from being
	// read; what is no JSON at all is refused by the decoder.
	_ = json.Unmarshal(body, &object)
	return &object.Metadata
}

// Numbers of fields: of metadata in every object, and of its lists.
const (
	metadataNumber      = 1
	labelsNumber        = 11
	ownersNumber        = 13
	finalizersNumber    = 14
	managedFieldsNumber = 17
)

func metadataInProtobuf(body []byte) *metadata {
	m := &metadata{Labels: map[string]string{}}
	for object := range submessages(body[min(len(body), len(prefix)):], rawNumber) {
		for inner := range submessages(object, metadataNumber) {
			for range submessages(inner, labelsNumber) {
				m.Labels[strconv.Itoa(len(m.Labels))] = ""
			}
			for number, list := range map[protowire.Number]*[]struct{}{
				ownersNumber: &m.OwnerReferences, finalizersNumber: &m.Finalizers, managedFieldsNumber: &m.ManagedFields,
			} {
				for range submessages(inner, number) {
					*list = append(*list, struct{}{})
				}
			}
		}
	}
	return m
}

// head is as much of a text as a message needs.
func head(text string) string {
	const enough = 64
	if len(text) <= enough {
		return text
	}
	return fmt.Sprintf("%s... (%d bytes)", text[:enough], len(text))
}
