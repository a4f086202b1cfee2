package auditlog

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"
	"k8s.io/apimachinery/pkg/util/wait"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/plugin/pkg/audit/buffered"
	"k8s.io/apiserver/plugin/pkg/audit/truncate"
	"k8s.io/apiserver/plugin/pkg/audit/webhook"
)

//go:embed policy.yaml
var defaultPolicy []byte

// Config says what is recorded and where. The zero value records nothing.
type Config struct {
	// PolicyFile is an audit.k8s.io/v1 Policy; empty selects the built-in one.
	PolicyFile string
	// Path of the log; "-" is standard output, empty writes none.
	Path string
	// MaxSize of the file in megabytes before it is rotated, how many rotated files
	// are kept and for how many days (zero: no bound); Compress packs them.
	MaxSize, MaxBackups, MaxAge int
	Compress                    bool
	// WebhookKubeconfig names the file that says how to reach a service that takes
	// events in batches; empty for none.
	WebhookKubeconfig string
}

// Sizes of the webhook's batches, as upstream has them.
const (
	maxEventBytes = 100 << 10
	maxBatchBytes = 10 << 20
)

var webhookBatches = buffered.BatchConfig{
	BufferSize: 10000, MaxBatchSize: 400, MaxBatchWait: 30 * time.Second,
	ThrottleEnable: true, ThrottleQPS: 10, ThrottleBurst: 15, AsyncDelegate: true,
}

// New reads the policy and opens the log. Without a path and a webhook both results
// are nil.
func New(cfg Config) (audit.Backend, audit.PolicyRuleEvaluator, error) {
	var backends []audit.Backend
	if cfg.Path != "" {
		out, err := cfg.open()
		if err != nil {
			return nil, nil, fmt.Errorf("audit log: %w", err)
		}
		backends = append(backends, newFile(out))
	}
	if cfg.WebhookKubeconfig != "" {
		retry := wait.Backoff{Duration: webhook.DefaultInitialBackoffDelay, Factor: 1.5, Jitter: 0.2, Steps: 5}
		hook, err := webhook.NewBackend(cfg.WebhookKubeconfig, auditv1.SchemeGroupVersion, retry, nil)
		if err != nil {
			return nil, nil, fmt.Errorf("audit webhook: %w", err)
		}
		batches := buffered.NewBackend(hook, webhookBatches)
		backends = append(backends, truncate.NewBackend(batches, truncate.Config{MaxEventSize: maxEventBytes, MaxBatchSize: maxBatchBytes}, auditv1.SchemeGroupVersion))
	}
	if len(backends) == 0 {
		return nil, nil, nil
	}
	rules, err := cfg.policy()
	if err != nil {
		return nil, nil, fmt.Errorf("audit policy: %w", err)
	}
	return audit.Union(backends...), rules, nil
}

func (c *Config) policy() (audit.PolicyRuleEvaluator, error) {
	if c.PolicyFile == "" {
		p, err := policy.LoadPolicyFromBytes(defaultPolicy)
		if err != nil {
			return nil, err
		}
		return policy.NewPolicyRuleEvaluator(p), nil
	}
	p, err := policy.LoadPolicyFromFile(c.PolicyFile)
	if err != nil {
		return nil, err
	}
	return policy.NewPolicyRuleEvaluator(p), nil
}

// open makes sure that the log can be written before anybody relies on it.
func (c *Config) open() (io.Writer, error) {
	if c.Path == "-" {
		return os.Stdout, nil
	}
	if err := os.MkdirAll(filepath.Dir(c.Path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(c.Path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if c.MaxSize == 0 {
		return f, nil
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return &lumberjack.Logger{Filename: c.Path, MaxSize: c.MaxSize, MaxBackups: c.MaxBackups, MaxAge: c.MaxAge, Compress: c.Compress}, nil
}
