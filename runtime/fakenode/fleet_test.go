package fakenode

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
)

// renewals notes when each lease was renewed.
type renewals struct {
	sync.Mutex
	at map[string][]time.Time
}

func (*renewals) EnsureNode(context.Context, *corev1.Node) error { return nil }

func (r *renewals) RenewLease(_ context.Context, node string, _ int32, now time.Time) error {
	r.Lock()
	defer r.Unlock()
	r.at[node] = append(r.at[node], now)
	return nil
}

func (*renewals) SetPodStatus(context.Context, *corev1.Pod, *corev1.PodStatus) error { return nil }
func (*renewals) DeletePod(context.Context, string, string, types.UID) error         { return nil }

// No lease may run out, whatever the number of nodes is; and renewals come in few
// rounds, because each wakes the server.
func TestLeasesAreRenewedInRounds(t *testing.T) {
	for _, count := range []int{1, 3, 7, 1000} {
		synctest.Test(t, func(t *testing.T) {
			api := &renewals{at: map[string][]time.Time{}}
			pods := informers.NewSharedInformerFactory(fake.NewClientset(), 0).Core().V1().Pods()
			f, err := New(Config{API: api, Pods: pods, Count: count})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithTimeout(t.Context(), 4*renewEvery+time.Second)
			defer stop()
			defer f.queue.ShutDown()
			if err := f.register(ctx); err != nil {
				t.Fatal(err)
			}
			f.renew(ctx)
			rounds := map[time.Time]bool{}
			for node, at := range api.at {
				for i := range at {
					rounds[at[i]] = true
					if i > 0 && at[i].Sub(at[i-1]) > renewEvery {
						t.Errorf("%d nodes: %s was renewed after %s", count, node, at[i].Sub(at[i-1]))
					}
				}
				if len(at) < 5 {
					t.Errorf("%d nodes: %s was renewed %d times", count, node, len(at))
				}
			}
			if len(api.at) != count || len(rounds) > 1+4*renewRounds {
				t.Errorf("%d of %d nodes renewed, in %d rounds", len(api.at), count, len(rounds))
			}
		})
	}
}
