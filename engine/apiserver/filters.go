package apiserver

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	admissionmetrics "k8s.io/apiserver/pkg/admission/metrics"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	genericapiserver "k8s.io/apiserver/pkg/server"
	flowcontrolclient "k8s.io/client-go/kubernetes/typed/flowcontrol/v1"
	restclient "k8s.io/client-go/rest"

	"github.com/pintle-io/pintle/engine/apiserver/fairness"
)

// Upstream's bounds of the requests served at a time, watches aside.
const (
	DefaultMaxRequests = 400
	DefaultMaxWrites   = 200
)

// Filters tunes what a request passes before its handler.
type Filters struct {
	// MaxRequests and MaxWrites bound the requests served at a time; zero selects
	// the defaults. With priority and fairness their sum is what is shared out.
	MaxRequests, MaxWrites int
	// NoFairness counts requests only, instead of queueing them by priority and flow.
	NoFairness bool
	// InProcess tells the requests of this process, which are never queued.
	InProcess func(ctx context.Context) bool
	// RequestHeader names the headers by which proxies identify users, so that they
	// go no further than authentication.
	RequestHeader *authenticatorfactory.RequestHeaderConfig
	// NoProfiling leaves out /debug/pprof and /debug/flags.
	NoProfiling bool
	// Flags is what /flagz shows; nil leaves it out.
	Flags Flags
}

// Flags are the values of the command's flags, without secrets.
type Flags map[string]string

// GetFlagz implements flagz.Reader.
func (f Flags) GetFlagz() map[string]string { return f }

// filter sets the chain's configuration.
func filter(c *genericapiserver.Config, cfg *Config) error {
	f := &cfg.Filters
	c.MaxRequestsInFlight, c.MaxMutatingRequestsInFlight = DefaultMaxRequests, DefaultMaxWrites
	if f.MaxRequests > 0 {
		c.MaxRequestsInFlight = f.MaxRequests
	}
	if f.MaxWrites > 0 {
		c.MaxMutatingRequestsInFlight = f.MaxWrites
	}
	c.Authentication.RequestHeaderConfig = f.RequestHeader
	c.EnableProfiling = !f.NoProfiling
	if f.Flags != nil {
		c.Flagz = f.Flags
	}
	if cfg.Admission != nil {
		// The steps alone are timed; a histogram per plugin would cost as much as most
		// of the plugins.
		cfg.Admission = admissionmetrics.WithStepMetrics(cfg.Admission)
		c.AdmissionControl = cfg.Admission
	}
	c.StorageObjectCountTracker = fairness.Counts(cfg.Registry.Stats)
	if f.NoFairness || cfg.Loopback == nil {
		return nil
	}
	client, err := flowcontrolFor(cfg)
	if err != nil {
		return err
	}
	c.FlowControl = fairness.New(fairness.Config{
		Informers: cfg.Informers, Client: client, Limit: c.MaxRequestsInFlight + c.MaxMutatingRequestsInFlight, Exempt: f.InProcess,
	})
	return nil
}

// flowcontrolFor reaches the flow control objects in process.
func flowcontrolFor(cfg *Config) (flowcontrolclient.FlowcontrolV1Interface, error) {
	rest := restclient.CopyConfig(cfg.Loopback)
	rest.ContentType, rest.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf
	return flowcontrolclient.NewForConfig(rest)
}

// maintainFairness keeps the default flow control objects.
func (s *Server) maintainFairness(cfg *Config) error {
	if cfg.Filters.NoFairness || cfg.Loopback == nil {
		return nil
	}
	client, err := flowcontrolFor(cfg)
	if err != nil {
		return err
	}
	maintainer, err := fairness.NewMaintainer(cfg.Informers, client, cfg.Registry.Scheme(), cfg.Logger)
	if err != nil {
		return fmt.Errorf("priority and fairness: %w", err)
	}
	return s.outer.AddPostStartHook("priority-and-fairness-config-producer", func(ctx genericapiserver.PostStartHookContext) error {
		if err := maintainer.Ensure(ctx); err != nil {
			return nil // the server is being stopped
		}
		go maintainer.Run(ctx)
		return nil
	})
}
