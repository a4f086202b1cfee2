package reconcile

import (
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
	// Intercept, if set, stands between every controller and what it writes: fault
	// injection, or the fence of a leader that may have been replaced.
	Intercept func(Writer) Writer
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
	cfg.Logger, cfg.Metrics = e.Logger, e.Metrics
	return New(cfg)
}
