package guard

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	object, err := meta.Accessor(a.GetObject())
	if err != nil {
		return nil
	}
	if errs := metadataErrors(object); len(errs) > 0 {
		return apierrors.NewInvalid(a.GetKind().GroupKind(), head(object.GetName()), errs)
	}
	return nil
}

func metadataErrors(o metav1.Object) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("metadata")
	for _, list := range []struct {
		name string
		size int
	}{
		{"labels", len(o.GetLabels())},
		{"ownerReferences", len(o.GetOwnerReferences())},
		{"finalizers", len(o.GetFinalizers())},
		{"managedFields", len(o.GetManagedFields())},
	} {
		if list.size > MetadataEntries {
			errs = append(errs, field.TooMany(path.Child(list.name), list.size, MetadataEntries))
		}
	}
	for name, text := range map[string]string{"name": o.GetName(), "generateName": o.GetGenerateName(), "namespace": o.GetNamespace()} {
		if len(text) > longestText {
			errs = append(errs, field.TooLong(path.Child(name), "", longestText))
		}
	}
	for key, value := range o.GetLabels() {
		if len(key) > longestText || len(value) > longestText {
			errs = append(errs, field.Invalid(path.Child("labels"), head(key)+"="+head(value), "no part of a label may be more than 253 bytes"))
			break
		}
	}
	return errs
}

// head is as much of a text as a message needs.
func head(text string) string {
	const enough = 64
	if len(text) <= enough {
		return text
	}
	return fmt.Sprintf("%s... (%d bytes)", text[:enough], len(text))
}
