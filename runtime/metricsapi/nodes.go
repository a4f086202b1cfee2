package metricsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// Bounds of questions to nodes.
const (
	askTimeout  = 5 * time.Second
	askParallel = 32
)

// nodes asks node agents what is used, each at most once per keepFor.
type nodes struct {
	client *http.Client
	asking singleflight.Group
	mu     sync.Mutex
	known  map[string]answer
}

type answer struct {
	summary *statsv1.Summary
	err     error
	at      time.Time
}

func newNodes(transport http.RoundTripper) *nodes {
	return &nodes{client: &http.Client{Transport: transport, Timeout: askTimeout}, known: map[string]answer{}}
}

// askAll leaves out nodes that do not answer.
func (n *nodes) askAll(ctx context.Context, list []*corev1.Node) map[string]*statsv1.Summary {
	out := map[string]*statsv1.Summary{}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(askParallel)
	for _, node := range list {
		group.Go(func() error {
			if s, err := n.ask(ctx, node); err == nil {
				mu.Lock()
				defer mu.Unlock()
				out[node.Name] = s
			}
			return nil
		})
	}
	_ = group.Wait() // always nil
	return out
}

func (n *nodes) ask(ctx context.Context, node *corev1.Node) (*statsv1.Summary, error) {
	n.mu.Lock()
	a, ok := n.known[node.Name]
	n.mu.Unlock()
	if ok && time.Since(a.at) < keepFor {
		return a.summary, a.err
	}
	v, _, _ := n.asking.Do(node.Name, func() (any, error) {
		// Who waits with us must not suffer from our client's hanging up.
		s, err := n.fetch(context.WithoutCancel(ctx), node)
		a := answer{s, err, time.Now()}
		n.mu.Lock()
		defer n.mu.Unlock()
		for name, old := range n.known {
			if time.Since(old.at) > time.Minute {
				delete(n.known, name)
			}
		}
		n.known[node.Name] = a
		return a, nil
	})
	a = v.(answer)
	return a.summary, a.err
}

func (n *nodes) fetch(ctx context.Context, node *corev1.Node) (*statsv1.Summary, error) {
	host, ok := agentAddress(node)
	if !ok {
		return nil, fmt.Errorf("node %s has published no address of its agent", node.Name)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/stats/summary?only_cpu_and_memory=true", nil)
	if err != nil {
		return nil, err
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask node %s: %w", node.Name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask node %s: %s", node.Name, resp.Status)
	}
	var s statsv1.Summary
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return nil, fmt.Errorf("answer of node %s: %w", node.Name, err)
	}
	return &s, nil
}

func agentAddress(node *corev1.Node) (string, bool) {
	port := node.Status.DaemonEndpoints.KubeletEndpoint.Port
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP && port != 0 {
			return net.JoinHostPort(a.Address, strconv.Itoa(int(port))), true
		}
	}
	return "", false
}
