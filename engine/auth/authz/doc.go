// Package authz owns the order in which authorizers are asked: administrators
// first, then what an AuthorizationConfiguration lists (nodes and roles by default,
// webhooks if configured). It makes no decision of its own. A changed file is taken
// over while the server runs. All values are safe for concurrent use.
package authz
