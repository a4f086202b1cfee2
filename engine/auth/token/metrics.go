package token

import (
	"sync"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

// Upstream's names.
var (
	validTokens   = counter("valid_tokens_total", "Cumulative valid projected service account tokens used")
	staleTokens   = counter("stale_tokens_total", "Cumulative stale projected service account tokens used")
	legacyTokens  = counter("legacy_tokens_total", "Cumulative legacy service account tokens used")
	manualTokens  = counter("legacy_manual_token_uses_total", "Cumulative manually created legacy tokens used")
	autoTokens    = counter("legacy_auto_token_uses_total", "Cumulative auto-generated legacy tokens used")
	invalidTokens = counter("invalid_legacy_auto_token_uses_total", "Cumulative invalid auto-generated legacy tokens used")
)

func counter(name, help string) *metrics.Counter {
	return metrics.NewCounter(&metrics.CounterOpts{Subsystem: "serviceaccount", Name: name, Help: help, StabilityLevel: metrics.ALPHA})
}

// registerMetrics is done by the first service of the process.
var registerMetrics = sync.OnceFunc(func() {
	legacyregistry.MustRegister(validTokens, staleTokens, legacyTokens, manualTokens, autoTokens, invalidTokens)
})
