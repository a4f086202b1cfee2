package store

import (
	"testing"
	"time"
)

func TestEventLogBounds(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(rev int64, age time.Duration, size int) *event {
		return &event{rev: rev, time: start.Add(-age), size: size}
	}
	for _, tc := range []struct {
		name  string
		count int
		age   time.Duration
		size  int
		want  int
	}{
		{"fresh events stay", 5000, 0, 1, 5000},
		{"of old ones the last stay", 5000, 2 * logFresh, 1, logMinEvents},
		{"no more than the bound", logMaxEvents + 10, 0, 1, logMaxEvents},
		{"no more than the bytes", 64, 0, logMaxBytes / 8, 8},
		{"the last stays whatever its size", 3, 0, 2 * logMaxBytes, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newEventLog(0)
			for i := range tc.count {
				l.append(at(int64(i+1), tc.age, tc.size))
			}
			l.trim(start)
			if len(l.events) != tc.want {
				t.Fatalf("%d events stay, want %d", len(l.events), tc.want)
			}
			if l.floor != int64(tc.count-tc.want) || l.next() != uint64(tc.count) {
				t.Errorf("floor %d, next %d", l.floor, l.next())
			}
			if l.floor > 0 {
				if _, ok := l.since(l.first - 1); ok {
					t.Error("a lost event was found")
				}
			}
			if events, ok := l.since(l.next() - 1); !ok || len(events) != 1 || events[0].rev != int64(tc.count) {
				t.Error("the last event was not found")
			}
		})
	}
}
