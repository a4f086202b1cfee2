// Package rbac owns role-based access control: whether the roles bound to a user
// allow a request, which rules those are, and whether a write of roles or
// bindings would give away more than the writer holds.
//
// Rules are read from listers at each question; the package keeps no state of its
// own and never writes. All values are safe for concurrent use.
package rbac
