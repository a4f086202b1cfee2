package reconcile

import (
	"context"
	"log/slog"

	"k8s.io/client-go/informers"

	"github.com/pintle-io/pintle/engine/client"
)

// FieldManager is the name under which controllers write, in managedFields.
const FieldManager = "kube-controller-manager"

// Env is what every controller is built from.
type Env struct {
	Client  *client.Client
	Events  *Events
	Logger  *slog.Logger
	Metrics Metrics
	// Intercept, if set, stands between every controller and what it writes, to inject
	// faults.
	Intercept func(Writer) Writer
	// Lead, if set, is Config.Lead of every controller.
	Lead func(ctx context.Context) (context.Context, error)
}

// Informers is the factory of shared informers.
func (e Env) Informers() informers.SharedInformerFactory { return e.Client.Informers() }

// WriterFor is the client a controller writes with: its service account's
// identity and the common field manager.
func (e Env) WriterFor(name string) *client.Client {
	return e.Client.AsController(name).WithFieldManager(FieldManager)
}

// Controller completes cfg with the environment and builds the controller.
func (e Env) Controller(cfg Config) (*Controller, error) {
	if cfg.Writer == nil {
		cfg.Writer = e.WriterFor(cfg.Name)
	}
	if e.Intercept != nil {
		cfg.Writer = e.Intercept(cfg.Writer)
	}
	if cfg.Recorder == nil && e.Events != nil {
		cfg.Recorder = e.Events.Recorder(cfg.Name)
	}
	cfg.Logger, cfg.Metrics, cfg.Lead = e.Logger, e.Metrics, e.Lead
	return New(cfg)
}
