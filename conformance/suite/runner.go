package suite

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Options choose the cluster, the clients and the cases of a run.
type Options struct {
	Kubeconfig string
	// Kubectl is the path of the kubectl to drive; "kubectl" looks in PATH.
	Kubectl string
	// Image is a busybox image present on every node; empty means that none is.
	Image    string
	Features []Feature
	// Parallel is how many cases run at the same time; 0 means 4.
	Parallel int
	// Timeout bounds each case; 0 means two minutes.
	Timeout time.Duration
	// Done, if set, is told of every result as it comes; calls do not overlap.
	Done func(Result)
}

// Runner runs cases against one cluster.
type Runner struct {
	opts Options
	rest *rest.Config
	kube kubernetes.Interface
	dyn  dynamic.Interface
}

// NewRunner connects to the cluster that the options name.
func NewRunner(opts Options) (*Runner, error) {
	if opts.Parallel == 0 {
		opts.Parallel = 4
	}
	if opts.Timeout == 0 {
		opts.Timeout = 2 * time.Minute
	}
	kubectl, err := exec.LookPath(opts.Kubectl)
	if err != nil {
		return nil, fmt.Errorf("find kubectl: %w", err)
	}
	opts.Kubectl = kubectl
	cfg, err := clientcmd.BuildConfigFromFlags("", opts.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", opts.Kubeconfig, err)
	}
	cfg.QPS, cfg.Burst = -1, -1
	cfg.UserAgent = "pintle-conformance"
	r := &Runner{opts: opts, rest: cfg}
	if r.kube, err = kubernetes.NewForConfig(cfg); err != nil {
		return nil, err
	}
	if r.dyn, err = dynamic.NewForConfig(cfg); err != nil {
		return nil, err
	}
	return r, nil
}

// Run runs all cases and reports on each, in the order given: the parallel ones
// first, then those that ask to be alone.
func (r *Runner) Run(ctx context.Context, cases []Case) *Report {
	report := &Report{Started: time.Now(), Results: make([]Result, len(cases))}
	var done sync.Mutex
	one := func(i int) {
		result := r.runCase(ctx, cases[i])
		report.Results[i] = result
		if r.opts.Done != nil {
			done.Lock()
			defer done.Unlock()
			r.opts.Done(result)
		}
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, r.opts.Parallel)
	for i, c := range cases {
		if c.Alone {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			one(i)
		})
	}
	wg.Wait()
	for i, c := range cases {
		if c.Alone {
			one(i)
		}
	}
	report.Seconds = time.Since(report.Started).Seconds()
	return report
}

// RunCase runs one case.
func (r *Runner) RunCase(ctx context.Context, c Case) Result { return r.runCase(ctx, c) }

func (r *Runner) runCase(ctx context.Context, c Case) Result {
	result := Result{Name: c.Name, Promise: c.Promise}
	if missing := c.Missing(r.opts.Features); len(missing) > 0 {
		result.State, result.Message = Skipped, fmt.Sprintf("the cluster lacks %v", missing)
		return result
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	started := time.Now()
	var log bytes.Buffer
	err := r.inNamespace(ctx, c, &log)
	result.Seconds = time.Since(started).Seconds()
	result.State = Passed
	if err != nil {
		result.State, result.Message, result.Log = Failed, err.Error(), log.String()
	}
	return result
}

func (r *Runner) inNamespace(ctx context.Context, c Case, log *bytes.Buffer) (err error) {
	prefix := "case-" + strings.ReplaceAll(c.Name, "/", "-") + "-"
	ns, err := r.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: prefix},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create the case's namespace: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if derr := r.kube.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}); derr != nil && err == nil {
			err = fmt.Errorf("delete the case's namespace: %w", derr)
		}
	}()
	return c.Run(ctx, &Env{
		Kube: r.kube, Dynamic: r.dyn, REST: r.rest,
		Namespace: ns.Name, Image: r.opts.Image,
		kubectl: r.opts.Kubectl, kubeconfig: r.opts.Kubeconfig,
		manifest: c.Manifest, log: log,
	})
}
