package authn

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	tokencache "k8s.io/apiserver/pkg/authentication/token/cache"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/webhook"
)

// Webhook says where tokens are asked about that nobody here knows.
type Webhook struct {
	// Kubeconfig names the file that says how to reach the service.
	Kubeconfig string
	// Version of the TokenReview sent: v1 (the default) or v1beta1.
	Version string
	// CacheTTL is how long an answer is remembered; zero selects two minutes.
	CacheTTL time.Duration
}

// retries is how often and how long a webhook is tried.
var retries = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 5}

const webhookCacheTTL = 2 * time.Minute

// NewWebhook builds the authenticator.
func NewWebhook(cfg Webhook, audiences authenticator.Audiences) (authenticator.Token, error) {
	if cfg.Version == "" {
		cfg.Version = "v1"
	}
	if cfg.CacheTTL == 0 {
		cfg.CacheTTL = webhookCacheTTL
	}
	rest, err := webhookutil.LoadKubeconfig(cfg.Kubeconfig, nil)
	if err != nil {
		return nil, fmt.Errorf("authentication webhook %s: %w", cfg.Kubeconfig, err)
	}
	hook, err := webhook.New(rest, cfg.Version, audiences, retries)
	if err != nil {
		return nil, fmt.Errorf("authentication webhook %s: %w", cfg.Kubeconfig, err)
	}
	return tokencache.New(hook, false, cfg.CacheTTL, cfg.CacheTTL), nil
}
