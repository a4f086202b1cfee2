package kv

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ack is one acknowledged write: key got the value n at revision rev.
type ack struct {
	key string
	n   int
	rev int64
}

// countUp writes 1, 2, 3 ... to one key, each on the condition that it is alone,
// and reports each acknowledgement until report is false.
func countUp(db *DB, key string, report func(ack) bool) error {
	e, _, err := db.Get(key, 0)
	if err != nil {
		return err
	}
	n, rev := 0, e.Head.ModRev
	if len(e.Value) > 0 {
		if n, err = strconv.Atoi(strings.TrimLeft(string(e.Value), "x")); err != nil {
			return err
		}
	}
	padding := strings.Repeat("x", 500)
	for {
		n++
		rev, err = db.Write(context.Background(), Txn{
			Conds: []Cond{{Key: key, ModRev: rev}},
			Ops:   []Op{{Key: key, Value: fmt.Append(nil, padding, n)}},
		})
		if err != nil {
			return err
		}
		if !report(ack{key, n, rev}) {
			return nil
		}
	}
}

// checkAcks verifies that every acknowledged write is there, at its revision.
func checkAcks(t *testing.T, db *DB, acks []ack) {
	t.Helper()
	for _, a := range acks {
		if a.rev > db.Revision() {
			t.Fatalf("%s=%d acknowledged at revision %d, but the store is at %d", a.key, a.n, a.rev, db.Revision())
		}
		e, found, err := db.Get(a.key, a.rev)
		if err != nil || !found || e.Head.ModRev != a.rev || !strings.HasSuffix(string(e.Value), "x"+strconv.Itoa(a.n)) {
			t.Fatalf("%s=%d at %d: found %v at %d, %v", a.key, a.n, a.rev, found, e.Head.ModRev, err)
		}
	}
}

// checkLog verifies that the log is complete: no revision is missing in it.
func checkLog(t *testing.T, db *DB) {
	t.Helper()
	next := int64(firstRevision)
	_, err := db.History(firstRevision, "", func(e PastEvent) bool {
		next++
		if e.Rev != next {
			t.Fatalf("log goes from revision %d to %d", next-1, e.Rev)
		}
		return true
	})
	if err != nil || next != db.Revision() {
		t.Fatalf("log ends at %d, store is at %d, %v", next, db.Revision(), err)
	}
}

// A machine that loses power at any moment keeps every acknowledged write,
// whatever part of the unsynced data reached the disk.
func TestPowerLoss(t *testing.T) {
	// The power fails when so many more writes are acknowledged; the writers are
	// in the middle of the next ones, and then wait for the verdict.
	const writers, crashes, interval, lead = 16, 4, 200, 100
	for _, percent := range []int{0, 50, 100} {
		t.Run(fmt.Sprintf("%d%% of unsynced data survives", percent), func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			db := openTest(t, Options{FS: fs, MemTableBytes: 128 << 10})
			var mu sync.Mutex
			var acks []ack
			stop, limit := false, interval+lead
			progress := sync.NewCond(&mu)
			var group sync.WaitGroup
			for i := range writers {
				group.Go(func() {
					err := countUp(db, fmt.Sprintf("/w/%d", i), func(a ack) bool {
						mu.Lock()
						defer mu.Unlock()
						acks = append(acks, a)
						progress.Broadcast()
						for len(acks) >= limit && !stop {
							progress.Wait()
						}
						return !stop
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			t.Cleanup(func() {
				mu.Lock()
				stop = true
				progress.Broadcast()
				mu.Unlock()
				group.Wait()
			})
			rng := rand.New(rand.NewPCG(uint64(percent), 1))
			for i := range crashes {
				mu.Lock()
				for len(acks) < (i+1)*interval {
					progress.Wait()
				}
				acked := append([]ack{}, acks...)
				mu.Unlock()
				clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
				checkSurvivor(t, clone, acked)
				mu.Lock()
				limit = (i+2)*interval + lead
				progress.Broadcast()
				mu.Unlock()
			}
		})
	}
}

// checkSurvivor opens what a crash left, and checks that it is whole and works.
func checkSurvivor(t *testing.T, fs vfs.FS, acked []ack) {
	t.Helper()
	db := openTest(t, Options{FS: fs})
	checkAcks(t, db, acked)
	checkLog(t, db)
	put(t, db, "/after", "crash")
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

const writerEnv = "PINTLE_KV_TEST_WRITER"

// TestMain lets the test binary be the victim of TestKill.
func TestMain(m *testing.M) {
	if dir := os.Getenv(writerEnv); dir != "" {
		if err := writeUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func writeUntilKilled(dir string) error {
	db, err := Open(dir, Options{MemTableBytes: 256 << 10})
	if err != nil {
		return err
	}
	var out sync.Mutex
	failures := make(chan error)
	for i := range 8 {
		go func() {
			failures <- countUp(db, fmt.Sprintf("/w/%d", i), func(a ack) bool {
				out.Lock()
				defer out.Unlock()
				_, err := fmt.Printf("%s %d %d\n", a.key, a.n, a.rev)
				return err == nil
			})
		}()
	}
	return <-failures
}

// A process killed with -9 in the middle of concurrent writes loses none it
// acknowledged, over several lives of the same directory.
func TestKill(t *testing.T) {
	const lives = 5
	dir := t.TempDir()
	var all []ack
	for life := range lives {
		acks := killedWriter(t, dir, 400+rand.IntN(600))
		all = append(all, acks...)
		db, err := Open(dir, Options{})
		if err != nil {
			t.Fatalf("life %d: %v", life, err)
		}
		checkAcks(t, db, all)
		checkLog(t, db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killedWriter runs a writer and kills it after so many acknowledgements.
func killedWriter(t *testing.T, dir string, after int) []ack {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), writerEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acks []ack
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var a ack
		// The last line may be torn.
		if n, _ := fmt.Sscanf(lines.Text(), "%s %d %d", &a.key, &a.n, &a.rev); n == 3 && len(acks) < after {
			acks = append(acks, a)
		}
		if len(acks) == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			after = -1
		}
	}
	if err := cmd.Wait(); err == nil || after != -1 {
		t.Fatalf("writer ended by itself after %d acknowledgements: %v", len(acks), err)
	}
	return acks
}
