// Package deployment rolls a Deployment's pod template out over ReplicaSets:
// RollingUpdate and Recreate, pause and resume, proportional scaling, revision
// history, progress deadline. Plan decides one step at a time; the reconcile loop
// acts and plans again when the caches show the step.
//
// ReplicaSets are named by the same template hash as upstream, so a cluster's
// objects can move to Pintle and back.
package deployment
