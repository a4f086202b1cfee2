// Package extension is an extension API server as people write them with
// k8s.io/apiserver: a group of its own over TLS, kept in memory, that lets the main
// server say who asks (front proxy) and asks it who may (SubjectAccessReview). Its
// test puts it behind an APIService of the built binary.
package extension
