package registry

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/pintle-io/pintle/engine/apis"
)

// componentStatuses serves the deprecated list of components. They are one
// process here: if it answers, they are healthy.
type componentStatuses struct{}

var componentNames = []string{"scheduler", "controller-manager", "etcd-0"}

var (
	_ rest.Lister = componentStatuses{}
	_ rest.Getter = componentStatuses{}
	_ rest.Scoper = componentStatuses{}
)

// New implements rest.Storage.
func (componentStatuses) New() runtime.Object { return &corev1.ComponentStatus{} }

// Destroy implements rest.Storage.
func (componentStatuses) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (componentStatuses) NamespaceScoped() bool { return false }

// GetSingularName implements rest.SingularNameProvider.
func (componentStatuses) GetSingularName() string { return "componentstatus" }

// ShortNames implements rest.ShortNamesProvider.
func (componentStatuses) ShortNames() []string { return []string{"cs"} }

// NewList implements rest.Lister.
func (componentStatuses) NewList() runtime.Object { return &corev1.ComponentStatusList{} }

// List implements rest.Lister.
func (componentStatuses) List(context.Context, *metainternalversion.ListOptions) (runtime.Object, error) {
	list := &corev1.ComponentStatusList{}
	for _, name := range componentNames {
		list.Items = append(list.Items, *healthy(name))
	}
	return list, nil
}

// Get implements rest.Getter.
func (componentStatuses) Get(_ context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	for _, known := range componentNames {
		if known == name {
			return healthy(name), nil
		}
	}
	return nil, apierrors.NewNotFound(corev1.Resource("componentstatuses"), name)
}

var componentTable = newTableConvertor(&apis.Resource{Columns: []apis.Column{
	apis.NameColumn(),
	apis.Text("Status", "Whether the component is healthy.", func(c *corev1.ComponentStatus) string {
		if len(c.Conditions) == 1 && c.Conditions[0].Status == corev1.ConditionTrue {
			return "Healthy"
		}
		return "Unhealthy"
	}),
	apis.Text("Message", "What the component says.", func(c *corev1.ComponentStatus) string { return c.Conditions[0].Message }),
	apis.Text("Error", "What is wrong with it.", func(c *corev1.ComponentStatus) string { return c.Conditions[0].Error }),
}})

// ConvertToTable implements rest.TableConvertor.
func (componentStatuses) ConvertToTable(ctx context.Context, object, tableOptions runtime.Object) (*metav1.Table, error) {
	return componentTable.ConvertToTable(ctx, object, tableOptions)
}

func healthy(name string) *corev1.ComponentStatus {
	return &corev1.ComponentStatus{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Conditions: []corev1.ComponentCondition{{Type: corev1.ComponentHealthy, Status: corev1.ConditionTrue, Message: "ok"}},
	}
}
