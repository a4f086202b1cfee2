// Package auditlog owns where audit events go: a log file that is rotated and bounded
// in size, and a webhook if configured; and which are recorded when nobody gave a
// policy. Events are made by upstream's filters.
//
// An event is written before its request is answered, so that what a killed process
// acknowledged is in the log; it is not synced. Backends are safe for concurrent use.
package auditlog
