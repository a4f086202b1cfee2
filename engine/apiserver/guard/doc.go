// Package guard bounds what one client's requests may cost the others, where the
// API library has no bound: YAML that grows through its aliases, numbers of
// millions of digits, metadata without end, large bodies at once, watches and
// connections. What is over a limit is refused with a Status that names the limit;
// what is below is passed on unchanged.
//
// It never decides who may do what, and knows no kind: a number is checked where
// the Go type of the resource has a quantity. Requests made inside the process are
// not limited. Everything here is safe for concurrent use.
package guard
