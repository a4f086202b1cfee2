package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pintle-io/pintle/conformance/harness"
)

const (
	starts = 7
	// settle is how long a server is left alone before its memory is read.
	settle = 15 * time.Second
)

// ready measures exec to the first request answered through TLS.
func ready(ctx context.Context, sys system, r *report) error {
	var empty, used []time.Duration
	for range starts {
		err := startTwice(ctx, sys, func(first, second time.Duration) {
			empty, used = append(empty, first), append(used, second)
		})
		if err != nil {
			return err
		}
	}
	r.add("exec to ready, empty data, median", ms(quantile(empty, 0.5)), milliseconds, goal{upstream: 2900, must: 500, aim: 200})
	r.add("exec to ready, empty data, worst", ms(quantile(empty, 1)), milliseconds, goal{})
	r.add("exec to ready, data of a killed run, median", ms(quantile(used, 0.5)), milliseconds, goal{must: 300})
	r.add("exec to ready, data of a killed run, worst", ms(quantile(used, 1)), milliseconds, goal{})
	return nil
}

// startTwice starts and kills one server twice.
func startTwice(ctx context.Context, sys system, done func(first, second time.Duration)) (err error) {
	s, err := sys.newServer(false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	var took [2]time.Duration
	for i := range took {
		if took[i], err = s.start(ctx); err != nil {
			return err
		}
		if err := s.kill(); err != nil {
			return err
		}
	}
	done(took[0], took[1])
	return nil
}

// idle measures a control plane that nobody uses.
func idle(ctx context.Context, sys system, r *report) error {
	const window = 20 * time.Second
	return withServer(ctx, sys, true, func(s server) error {
		if err := pause(ctx, settle); err != nil {
			return err
		}
		before, err := runningTime(s)
		if err != nil {
			return err
		}
		if err := pause(ctx, window); err != nil {
			return err
		}
		after, err := runningTime(s)
		if err != nil {
			return err
		}
		anonymous, err := anonymousBytes(s)
		if err != nil {
			return err
		}
		r.add("idle anonymous memory, whole control plane", anonymous/1e6, megabytes, goal{upstream: 260, must: 80, aim: 40})
		r.add("idle CPU, share of a core", 100*float64(after-before)/float64(window), percent, goal{upstream: 3.8, must: 1, aim: 0.3})
		return nil
	})
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// runningTime is what the threads that a server has now have run, to the
// microsecond: good for a process that does next to nothing.
func runningTime(s server) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range s.pids() {
		files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "schedstat"))
		if err != nil || len(files) == 0 {
			return 0, errors.Join(err, fmt.Errorf("process %d has no threads", pid))
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				continue // the thread ended
			}
			ran, _, _ := strings.Cut(string(raw), " ")
			n, err := strconv.ParseInt(ran, 10, 64)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(n)
		}
	}
	return sum, nil
}

// calmDown waits until the server takes less than a tenth of a core for a second; one
// that never does is measured as it is after half a minute.
func calmDown(ctx context.Context, s server) error {
	const look, patience = time.Second, 30
	before, err := cpuOf(s)
	if err != nil {
		return err
	}
	for range patience {
		if err := pause(ctx, look); err != nil {
			return err
		}
		after, err := cpuOf(s)
		if err != nil {
			return err
		}
		if after-before < look/10 {
			return nil
		}
		before = after
	}
	return nil
}

// cpuOf is the processor time of a server's processes.
func cpuOf(s server) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range s.pids() {
		ran, err := harness.ProcessorTime(pid)
		if err != nil {
			return 0, err
		}
		sum += ran
	}
	return sum, nil
}

// anonymousBytes is the memory of a server's processes that no file backs.
func anonymousBytes(s server) (float64, error) {
	var sum float64
	for _, pid := range s.pids() {
		n, err := anonymousOf(pid)
		if err != nil {
			return 0, err
		}
		sum += float64(n)
	}
	return sum, nil
}

// peakBytes is the most that a server's processes have held resident.
func peakBytes(s server) (float64, error) {
	var sum float64
	for _, pid := range s.pids() {
		n, err := kilobytes(filepath.Join("/proc", strconv.Itoa(pid), "status"), "VmHWM:")
		if err != nil {
			return 0, err
		}
		sum += float64(n)
	}
	return sum, nil
}

func anonymousOf(pid int) (int64, error) {
	return kilobytes(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"), "Anonymous:")
}

// kilobytes reads the line of a file under /proc that begins so, in bytes.
func kilobytes(file, line string) (int64, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), line); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb * 1024, err
		}
	}
	return 0, fmt.Errorf("%s has no line %s", file, line)
}
