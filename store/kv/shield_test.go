package kv

import (
	"errors"
	"testing"
)

// Pebble may fail on a goroutine that what is shielded waits for.
func TestShieldOutlivesFailures(t *testing.T) {
	for name, failing := range map[string]func(db *DB, never <-chan struct{}) error{
		"on the goroutine of the call": func(db *DB, _ <-chan struct{}) error {
			db.logger.Fatalf("the disk is gone")
			return nil
		},
		"on another goroutine": func(db *DB, never <-chan struct{}) error {
			go db.logger.Fatalf("the disk is gone")
			<-never
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			never := make(chan struct{})
			defer close(never)
			db := openTest(t, Options{})
			err := db.shield(func() error { return failing(db, never) })
			if !errors.Is(err, ErrFailed) {
				t.Errorf("got %v, want ErrFailed", err)
			}
			if err := db.Checkpoint(t.TempDir() + "/copy"); !errors.Is(err, ErrFailed) {
				t.Errorf("a checkpoint after the failure: %v, want ErrFailed", err)
			}
		})
	}
}
