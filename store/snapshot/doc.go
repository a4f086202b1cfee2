// Package snapshot owns copies of a store's directory: snapshots that share the
// tables of the original by hard links, their restoration, and branches.
//
// Everything is built under a temporary name, synced, and renamed: after a crash at
// any point there is either the old state or the new one. Restoring has one step
// that takes two renames; Complete finishes it, and must be called before a store
// directory is opened.
//
// It never looks into values. Callers make sure that nobody else works on the same
// directories.
package snapshot
