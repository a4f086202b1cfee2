package kv

// shield runs what may write to Pebble outside of the committer on a goroutine of
// its own: Fatalf ends that one, not the caller's. If it is called on a goroutine
// of Pebble instead, f may wait for that one for ever; then f is left behind, and
// with it whatever it holds, until the process ends.
func (db *DB) shield(f func() error) error {
	if err := db.logger.failure(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-db.logger.broken:
		return db.logger.failure()
	}
}
