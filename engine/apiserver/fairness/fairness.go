package fairness

import (
	"context"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/util/flowcontrol"
	"k8s.io/apiserver/pkg/util/flowcontrol/fairqueuing"
	"k8s.io/apiserver/pkg/util/flowcontrol/request"
	"k8s.io/client-go/informers"
	client "k8s.io/client-go/kubernetes/typed/flowcontrol/v1"
)

// Config describes flow control. Informers and Client are required.
type Config struct {
	Informers informers.SharedInformerFactory
	Client    client.FlowcontrolV1Interface
	// Limit is how many requests (seats) are served at a time.
	Limit int
	// Exempt tells which requests skip classification; nil exempts none.
	Exempt func(ctx context.Context) bool
}

// New builds flow control over the objects in the cluster. Its Run follows them.
func New(cfg Config) flowcontrol.Interface {
	control := flowcontrol.New(cfg.Informers, statusClient{cfg.Client}, cfg.Limit)
	if cfg.Exempt == nil {
		return control
	}
	return &exempting{Interface: control, exempt: cfg.Exempt}
}

// exempting lets some requests through at once.
type exempting struct {
	flowcontrol.Interface
	exempt func(ctx context.Context) bool
}

// The level and schema that upstream has for what is never queued. Requests of this
// process are shown as theirs; looking them up would cost what is saved.
var (
	exemptSchema = &flowcontrolv1.FlowSchema{ObjectMeta: metav1.ObjectMeta{Name: flowcontrolv1.FlowSchemaNameExempt}}
	exemptLevel  = &flowcontrolv1.PriorityLevelConfiguration{ObjectMeta: metav1.ObjectMeta{Name: flowcontrolv1.PriorityLevelConfigurationNameExempt}}
)

// Handle implements flowcontrol.Interface.
func (e *exempting) Handle(ctx context.Context, digest flowcontrol.RequestDigest,
	note func(*flowcontrolv1.FlowSchema, *flowcontrolv1.PriorityLevelConfiguration, string),
	estimate func() request.WorkEstimate, queueNote fairqueuing.QueueNoteFn, exec func(),
) {
	if !e.exempt(ctx) {
		e.Interface.Handle(ctx, digest, note, estimate, queueNote, exec)
		return
	}
	note(exemptSchema, exemptLevel, "")
	exec()
}
