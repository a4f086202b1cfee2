package suite

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Env is what a case works with.
type Env struct {
	Kube    kubernetes.Interface
	Dynamic dynamic.Interface
	REST    *rest.Config
	// Namespace is the case's own; it is deleted afterwards.
	Namespace string
	// Image is a busybox image present on the nodes.
	Image string

	kubectl, kubeconfig string
	manifest            string
	log                 io.Writer
}

// Logf adds a line to the case's log, shown when it fails.
func (e *Env) Logf(format string, args ...any) {
	fmt.Fprintf(e.log, format+"\n", args...)
}

// Kubectl runs kubectl in the case's namespace and returns its standard output.
// The error carries standard error.
func (e *Env) Kubectl(ctx context.Context, args ...string) (string, error) {
	return e.KubectlIn(ctx, "", args...)
}

// KubectlIn is Kubectl with something on standard input.
func (e *Env) KubectlIn(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, e.kubectl, append([]string{"--namespace", e.Namespace}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+e.kubeconfig)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	e.Logf("$ kubectl %s\n%s%s", strings.Join(args, " "), out.String(), errOut.String())
	if err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}

// Manifest returns the case's YAML with $NAMESPACE and $IMAGE filled in.
func (e *Env) Manifest() string {
	return strings.NewReplacer("$NAMESPACE", e.Namespace, "$IMAGE", e.Image).Replace(e.manifest)
}

// Apply applies the case's manifest with kubectl.
func (e *Env) Apply(ctx context.Context, args ...string) error {
	_, err := e.KubectlIn(ctx, e.Manifest(), append([]string{"apply", "-f", "-"}, args...)...)
	return err
}

// Eventually asks done four times a second until it is true or d is over; the
// error names what was waited for and the last answer.
func (e *Env) Eventually(ctx context.Context, d time.Duration, what string, done func(ctx context.Context) (bool, string, error)) error {
	var last string
	err := wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, d, true, func(ctx context.Context) (bool, error) {
		ok, state, err := done(ctx)
		if ctx.Err() != nil {
			return false, ctx.Err() // what an interrupted look returned says nothing
		}
		last = state
		if err != nil {
			last = fmt.Sprintf("%s (%v)", state, err)
		}
		return ok && err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waited %s for %s; last seen: %s", d, what, last)
	}
	return nil
}

// PodNames lists the names of the pods a selector matches, deleted ones left out.
func (e *Env) PodNames(ctx context.Context, selector string) ([]string, error) {
	pods, err := e.Kube.CoreV1().Pods(e.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil {
			names = append(names, p.Name)
		}
	}
	return names, nil
}
