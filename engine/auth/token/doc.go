// Package token owns service account tokens: JSON web tokens signed by the
// cluster, bound to an audience, an expiry and, if asked, to a pod, secret or
// node. It issues them for the token subresource, authenticates them against the
// live objects they are bound to, and publishes the OpenID discovery documents
// that let others verify them.
//
// It keeps no state: a token is good as long as its objects exist. All values are
// safe for concurrent use.
package token
