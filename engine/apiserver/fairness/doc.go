// Package fairness owns API priority and fairness: upstream's flow control, the
// flow schemas and priority levels that are always there, and the counts of stored
// objects by which the cost of a list is estimated. Requests of this process are
// let through without a queue.
//
// It never decides who may do something, only when. All values are safe for
// concurrent use.
package fairness
