// Package scheduling binds pending pods to nodes. It owns the pending queue, the
// node columns that strategies read, and the binding; which node a pod gets is a
// Placer's choice, a Wasm strategy or its native twin. Whatever a Placer answers
// is checked here against the hard predicates, by code of its own over state of
// its own, before anything is bound: a strategy can be unfair but never unsafe.
// The package never chooses a node itself and never talks to kubelets.
//
// One goroutine (Scheduler.Run) owns all state: informer events and the results of
// binding reach it through an inbox. Binding and status writes run on workers that
// share nothing with it but immutable objects.
package scheduling
