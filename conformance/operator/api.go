package operator

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/conversion"
)

const group = "flowers.conformance.example"

var (
	version1 = schema.GroupVersion{Group: group, Version: "v1"}
	version2 = schema.GroupVersion{Group: group, Version: "v2"}
)

// addToScheme registers both versions.
func addToScheme(s *runtime.Scheme) {
	s.AddKnownTypes(version1, &Bouquet{}, &BouquetList{})
	metav1.AddToGroupVersion(s, version1)
	s.AddKnownTypeWithName(version2.WithKind("Bouquet"), &BouquetV2{})
	metav1.AddToGroupVersion(s, version2)
}

// Bouquet is the stored version; all others are converted to it.
type Bouquet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   BouquetSpec   `json:"spec,omitempty"`
	Status BouquetStatus `json:"status,omitempty"`
}

// BouquetSpec asks for a ConfigMap for each flower.
type BouquetSpec struct {
	Flowers int64  `json:"flowers"`
	Colour  string `json:"colour,omitempty"`
}

// BouquetStatus tells how far the operator is, and which one made it.
type BouquetStatus struct {
	Flowers            int64  `json:"flowers"`
	ObservedGeneration int64  `json:"observedGeneration"`
	By                 string `json:"by,omitempty"`
}

// BouquetList is a list of bouquets.
type BouquetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Bouquet `json:"items"`
}

// BouquetV2 says stems for flowers.
type BouquetV2 struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   BouquetV2Spec `json:"spec,omitempty"`
	Status BouquetStatus `json:"status,omitempty"`
}

// BouquetV2Spec is BouquetSpec with another name for the number.
type BouquetV2Spec struct {
	Stems  int64  `json:"stems"`
	Colour string `json:"colour,omitempty"`
}

var (
	_ conversion.Hub         = (*Bouquet)(nil)
	_ conversion.Convertible = (*BouquetV2)(nil)
)

// Hub implements conversion.Hub.
func (*Bouquet) Hub() {}

// ConvertTo implements conversion.Convertible.
func (b *BouquetV2) ConvertTo(hub conversion.Hub) error {
	out := hub.(*Bouquet)
	out.ObjectMeta, out.Status = b.ObjectMeta, b.Status
	out.Spec = BouquetSpec{Flowers: b.Spec.Stems, Colour: b.Spec.Colour}
	return nil
}

// ConvertFrom implements conversion.Convertible.
func (b *BouquetV2) ConvertFrom(hub conversion.Hub) error {
	in := hub.(*Bouquet)
	b.ObjectMeta, b.Status = in.ObjectMeta, in.Status
	b.Spec = BouquetV2Spec{Stems: in.Spec.Flowers, Colour: in.Spec.Colour}
	return nil
}

// DeepCopyObject implements runtime.Object.
func (b *Bouquet) DeepCopyObject() runtime.Object {
	out := *b
	b.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return &out
}

// DeepCopyObject implements runtime.Object.
func (b *BouquetV2) DeepCopyObject() runtime.Object {
	out := *b
	b.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return &out
}

// DeepCopyObject implements runtime.Object.
func (l *BouquetList) DeepCopyObject() runtime.Object {
	out := *l
	out.Items = make([]Bouquet, len(l.Items))
	for i := range l.Items {
		out.Items[i] = *l.Items[i].DeepCopyObject().(*Bouquet)
	}
	return &out
}
