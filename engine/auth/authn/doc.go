// Package authn owns who is asking: it builds the one authenticator.Request of
// the server out of client certificates, service account tokens, bootstrap
// tokens and, for the health paths alone, anonymity. It decides nothing about
// what they may do. The authenticator is safe for concurrent use.
package authn
