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

const starts = 7

// ready measures exec to the first request answered through TLS.
func (b *bench) ready(ctx context.Context) error {
	var empty, used []time.Duration
	for range starts {
		err := b.starts(ctx, 2, func(took []time.Duration) {
			empty, used = append(empty, took[0]), append(used, took[1])
		})
		if err != nil {
			return err
		}
	}
	b.table.row("exec to ready, empty data, median", ms(quantile(empty, 0.5)), milliseconds, goal{2900, 500, 200})
	b.table.row("exec to ready, empty data, worst", ms(quantile(empty, 1)), milliseconds, goal{})
	b.table.row("exec to ready, data of a killed run, median", ms(quantile(used, 0.5)), milliseconds, goal{0, 300, 0})
	b.table.row("exec to ready, data of a killed run, worst", ms(quantile(used, 1)), milliseconds, goal{})
	return nil
}

// starts starts and kills one server n times.
func (b *bench) starts(ctx context.Context, n int, done func([]time.Duration)) (err error) {
	c, err := b.newServer()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(filepath.Dir(c.DataDir))) }()
	var took []time.Duration
	for range n {
		d, err := c.Start(ctx)
		if err != nil {
			return err
		}
		took = append(took, d)
		if err := c.Kill(); err != nil {
			return err
		}
	}
	done(took)
	return nil
}

// idle measures a control plane that nobody uses.
func (b *bench) idle(ctx context.Context) error {
	const settle, window = 10 * time.Second, 20 * time.Second
	return b.withServer(ctx, func(c *harness.Cluster) error {
		if err := pause(ctx, settle); err != nil {
			return err
		}
		before, err := cpuTime(c.PID())
		if err != nil {
			return err
		}
		if err := pause(ctx, window); err != nil {
			return err
		}
		after, err := cpuTime(c.PID())
		if err != nil {
			return err
		}
		anonymous, err := anonymousBytes(c.PID())
		if err != nil {
			return err
		}
		b.table.row("idle anonymous memory", float64(anonymous)/1e6, megabytes, goal{260, 80, 40})
		b.table.row("idle CPU, share of a core", 100*float64(after-before)/float64(window), percent, goal{3.8, 1, 0.3})
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

// cpuTime is what a process's threads have run, by /proc's schedstat.
func cpuTime(pid int) (time.Duration, error) {
	files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "schedstat"))
	if err != nil || len(files) == 0 {
		return 0, errors.Join(err, fmt.Errorf("process %d has no threads", pid))
	}
	var sum time.Duration
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
	return sum, nil
}

// anonymousBytes is the process's memory that no file backs.
func anonymousBytes(pid int) (int64, error) {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "Anonymous:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no Anonymous line", pid)
}
