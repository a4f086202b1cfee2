// Package strategies is the controller of Strategies and StrategyBindings: it finds
// the modules that Strategies ask for, has them loaded, hands them and the bindings
// to who asks strategies (the router and the scheduler), and says in their status
// what became of them. What to run and what to say is decided in plan.go and
// bindings.go; it never decides about pods, autoscalers or rollouts.
//
// Two loops run: one works on one Strategy at a time, the other on all bindings at
// once, since their order counts. They share the table of what is loaded, which is
// guarded by its lock; modules are found and compiled without it.
package strategies
