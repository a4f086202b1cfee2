package served

import (
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pintle-io/pintle/engine/apis/declared/admissionregistrationv1"
	"github.com/pintle-io/pintle/engine/apis/declared/appsv1"
	"github.com/pintle-io/pintle/engine/apis/declared/authorizationv1"
	"github.com/pintle-io/pintle/engine/apis/declared/autoscalingv1"
	"github.com/pintle-io/pintle/engine/apis/declared/autoscalingv2"
	"github.com/pintle-io/pintle/engine/apis/declared/batchv1"
	"github.com/pintle-io/pintle/engine/apis/declared/certificatesv1"
	"github.com/pintle-io/pintle/engine/apis/declared/coordinationv1"
	"github.com/pintle-io/pintle/engine/apis/declared/corev1"
	"github.com/pintle-io/pintle/engine/apis/declared/discoveryv1"
	"github.com/pintle-io/pintle/engine/apis/declared/eventsv1"
	"github.com/pintle-io/pintle/engine/apis/declared/flowcontrolv1"
	"github.com/pintle-io/pintle/engine/apis/declared/networkingv1"
	"github.com/pintle-io/pintle/engine/apis/declared/nodev1"
	"github.com/pintle-io/pintle/engine/apis/declared/policyv1"
	"github.com/pintle-io/pintle/engine/apis/declared/rbacv1"
	"github.com/pintle-io/pintle/engine/apis/declared/resourcev1"
	"github.com/pintle-io/pintle/engine/apis/declared/schedulingv1"
	"github.com/pintle-io/pintle/engine/apis/declared/storagemigrationv1"
	"github.com/pintle-io/pintle/engine/apis/declared/storagev1"
)

// declared adds the checks that the tags of the served types declare.
var declared = []func(*runtime.Scheme) error{
	admissionregistrationv1.RegisterValidations,
	appsv1.RegisterValidations,
	autoscalingv1.RegisterValidations,
	autoscalingv2.RegisterValidations,
	authorizationv1.RegisterValidations,
	batchv1.RegisterValidations,
	certificatesv1.RegisterValidations,
	coordinationv1.RegisterValidations,
	corev1.RegisterValidations,
	discoveryv1.RegisterValidations,
	eventsv1.RegisterValidations,
	flowcontrolv1.RegisterValidations,
	networkingv1.RegisterValidations,
	nodev1.RegisterValidations,
	policyv1.RegisterValidations,
	rbacv1.RegisterValidations,
	resourcev1.RegisterValidations,
	schedulingv1.RegisterValidations,
	storagev1.RegisterValidations,
	storagemigrationv1.RegisterValidations,
}
