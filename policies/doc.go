// Package policies owns admission rules written in Rego, in the shapes of OPA
// Gatekeeper: a ConstraintTemplate holds the rule and makes a kind, a Constraint
// of that kind says where it applies, with which parameters, and what happens
// (deny, warn, dryrun). Rules are evaluated in this process by OPA's constraint
// framework, so existing libraries of templates apply unchanged.
//
// An Engine decides and never writes; a Syncer keeps an Engine like the cluster's
// templates and constraints. OPA is set up when the first template arrives, so a
// cluster without policies pays nothing for them.
//
// So that no policy can lock a cluster up: objects in the system namespaces, the
// policies themselves and objects that are being deleted are exempt; deletions
// are not looked at; an evaluation has a deadline; and rules cannot reach out of
// the process. All values are safe for concurrent use.
package policies
