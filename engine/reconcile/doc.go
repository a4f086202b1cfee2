// Package reconcile owns the one loop that all controllers run in: keys queue,
// a worker observes the caches and plans (pure code of the controller), and the
// loop executes the planned actions through the in-process client.
//
// The protocol of a Controller. Watches turn changes of objects into keys; a key
// is worked on by one worker at a time; equal keys merge. Before planning, the
// key waits until the caches have passed everything the loop last wrote for it,
// so a plan never sees a world older than its own work. Actions run in order and
// stop at the first failure; then the plan's OnFailure may add a last word, and
// the key is retried with back-off. A failure because somebody else was faster
// (conflict, not found, already exists) is ordinary: it is retried, not logged
// as an error. A panic in a plan costs its key a retry, never the process.
//
// The package decides nothing about any kind.
package reconcile
