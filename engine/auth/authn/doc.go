// Package authn owns who is asking: it builds the authenticators of the server out of
// client certificates, proxies that name their users, service account and bootstrap
// tokens, OpenID issuers, a webhook and, for the health paths unless configured
// otherwise, anonymity. It decides nothing about what they may do. Authenticators are
// safe for concurrent use; what is read from files follows them while Run runs.
package authn
