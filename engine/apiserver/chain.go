package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapifilters "k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/filters/impersonation"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/metrics"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
	flowcontrolrequest "k8s.io/apiserver/pkg/util/flowcontrol/request"
)

// chain is upstream's handler chain (k8s.io/apiserver/pkg/server,
// DefaultBuildHandlerChain): its filters in its order, without those that do nothing
// here (tracing without a tracer, CORS, HSTS, GOAWAY), and with what several of them
// note about a request noted at once, because each note copies the request.
// may decides who may do what; stopping ends the watches.
func chain(handler http.Handler, c *genericapiserver.Config, may authorizer.UnconditionalAuthorizer, stopping request.ServerShutdownSignal) http.Handler {
	failed := genericapifilters.Unauthorized(c.Serializer)
	failed = completed(genericapifilters.WithFailedAuthenticationAudit(failed, c.AuditBackend, c.AuditPolicyRuleEvaluator))

	handler = genericapifilters.WithAuthorization(completed(handler), may, c.Serializer)
	handler = started(handler, "authorization")
	if c.FlowControl != nil {
		estimate := flowcontrolrequest.NewWorkEstimator(c.StorageObjectCountTracker.Get, c.FlowControl.GetInterestedWatchCount,
			flowcontrolrequest.DefaultWorkEstimatorConfig(), c.FlowControl.GetMaxSeats)
		handler = genericfilters.WithPriorityAndFairness(completed(handler), c.LongRunningFunc, c.FlowControl, estimate, c.RequestTimeout/4)
		handler = started(handler, "priorityandfairness")
	} else {
		handler = genericfilters.WithMaxInFlightLimit(handler, c.MaxRequestsInFlight, c.MaxMutatingRequestsInFlight, c.LongRunningFunc)
	}
	handler = impersonation.WithConstrainedImpersonation(completed(handler), c.Authorization.Authorizer, c.Serializer)
	handler = started(handler, "constrainedimpersonation")
	handler = genericapifilters.WithAudit(completed(handler), c.AuditBackend, c.AuditPolicyRuleEvaluator, c.LongRunningFunc)
	handler = started(handler, "audit")
	handler = genericapifilters.WithAuthentication(completed(handler), c.Authentication.Authenticator, failed,
		c.Authentication.APIAudiences, c.Authentication.RequestHeaderConfig)
	handler = started(handler, "authentication")
	handler = genericapifilters.WithWarningRecorder(handler)
	handler = genericfilters.WithTimeoutForNonLongRunningRequests(handler, c.LongRunningFunc)
	handler = genericapifilters.WithRequestDeadline(handler, c.AuditBackend, c.AuditPolicyRuleEvaluator, c.LongRunningFunc, c.Serializer, c.RequestTimeout)
	handler = genericfilters.WithWaitGroup(handler, c.LongRunningFunc, c.NonLongRunningRequestWaitGroup)
	handler = genericfilters.WithWatchTerminationDuringShutdown(handler, stopping, c.WatchRequestWaitGroup)
	handler = genericapifilters.WithCacheControl(handler)
	handler = genericfilters.WithHTTPLogging(handler)
	handler = genericapifilters.WithLatencyTrackers(handler)
	handler = described(handler, c.RequestInfoResolver)
	handler = genericfilters.WithPanicRecovery(handler, c.RequestInfoResolver)
	return genericapifilters.WithAuditInit(handler)
}

// described notes when the request came and what it asks for, and makes room for the
// times that filters take.
func described(next http.Handler, resolver request.RequestInfoResolver) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		came := time.Now()
		info, err := resolver.NewRequestInfo(req)
		if err != nil {
			responsewriters.InternalError(w, req, fmt.Errorf("failed to create RequestInfo: %w", err))
			return
		}
		ctx := request.WithRequestInfo(request.WithReceivedTimestamp(req.Context(), came), info)
		next.ServeHTTP(w, req.WithContext(context.WithValue(ctx, filterTimeKey{}, &filterTime{})))
	})
}

// filterTime is when the filter that runs began. A request's filters run one after
// the other.
type filterTime struct {
	name  string
	began time.Time
}

type filterTimeKey struct{}

// started and completed enclose a filter; what it took is observed in
// apiserver_request_filter_duration_seconds.
func started(filter http.Handler, name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if t, ok := req.Context().Value(filterTimeKey{}).(*filterTime); ok {
			t.name, t.began = name, time.Now()
		}
		filter.ServeHTTP(w, req)
	})
}

func completed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if t, ok := req.Context().Value(filterTimeKey{}).(*filterTime); ok {
			metrics.RecordFilterLatency(req.Context(), t.name, time.Since(t.began))
		}
		next.ServeHTTP(w, req)
	})
}

// stopSignal is closed when the server begins to stop.
type stopSignal chan struct{}

// ShuttingDown implements request.ServerShutdownSignal.
func (s stopSignal) ShuttingDown() <-chan struct{} { return s }
