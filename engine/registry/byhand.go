package registry

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// addByHand serves what a row cannot say: subresources that are not the object
// itself, resources that are not stored, and hooks of single kinds.
func (r *Registry) addByHand(cfg Config) error {
	core := corev1.SchemeGroupVersion
	if pods, ok := r.stores[core.WithResource("pods")]; ok {
		r.addPods(pods)
	}
	if nodes, ok := r.stores[core.WithResource("nodes")]; ok {
		r.serve(core, "nodes/proxy", &nodeProxyREST{nodes: nodes, hooks: r.hooks.Load})
	}
	if services, ok := r.stores[core.WithResource("services")]; ok {
		if err := r.addServices(services, cfg); err != nil {
			return err
		}
	}
	if namespaces, ok := r.stores[core.WithResource("namespaces")]; ok {
		namespaces.ShouldDeleteDuringUpdate = keepWhileFinalized
		// Made after the hook, which it copies: a status write must not complete a
		// deletion either.
		r.serve(core, "namespaces/status", newStatusREST(namespaces))
		r.serve(core, "namespaces", &namespaceREST{namespaces})
		r.serve(core, "namespaces/finalize", &finalizeREST{newPartREST(namespaces, finalizeStrategy{namespaces.strategy.of("finalize")})})
	}
	if accounts, ok := r.stores[core.WithResource("serviceaccounts")]; ok {
		r.serve(core, "serviceaccounts/token", &tokenREST{accounts: accounts, hooks: r.hooks.Load})
	}
	certificates := certificatesv1.SchemeGroupVersion
	if requests, ok := r.stores[certificates.WithResource("certificatesigningrequests")]; ok {
		r.serve(certificates, "certificatesigningrequests/approval", newPartREST(requests, approvalStrategy{requests.strategy.of("approval")}))
	}
	r.serve(core, "componentstatuses", componentStatuses{})
	r.addReviews()
	return nil
}

// addReviews serves the questions that are answered and not stored.
func (r *Registry) addReviews() {
	authn, authz := authenticationv1.SchemeGroupVersion, authorizationv1.SchemeGroupVersion
	for _, review := range []struct {
		gv schema.GroupVersion
		*reviewREST
	}{
		{authn, r.tokenReview()},
		{authn, r.selfSubjectReview()},
		{authz, r.subjectAccessReview()},
		{authz, r.localSubjectAccessReview()},
		{authz, r.selfSubjectAccessReview()},
		{authz, r.selfSubjectRulesReview()},
	} {
		r.serve(review.gv, review.resource, review.reviewREST)
	}
}
