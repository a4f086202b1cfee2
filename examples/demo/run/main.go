// Command run is `go tool task demo` after the build: it starts a cluster unless
// one runs, packs the example application, applies it, waits for it, fetches its
// page through the Service, and says what to try next.
//
// It only drives the pintle binary, as a user would.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/pintle-io/pintle/examples/demo/archive"
	"github.com/pintle-io/pintle/examples/demo/manifests"
)

// pageURL is the node port that the manifests give to Service web.
const pageURL = "http://127.0.0.1:30080/"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d := demo{out: os.Stdout}
	flag.StringVar(&d.pintle, "pintle", "bin/pintle", "the pintle `BINARY` to use")
	flag.StringVar(&d.data, "data", os.Getenv("PINTLE_DATA"), "data `DIRECTORY` of the cluster (default: pintle's own)")
	flag.IntVar(&d.nodes, "nodes", 1, "start a cluster of `N` nodes")
	flag.Parse()
	if err := d.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

type demo struct {
	pintle, data string
	nodes        int
	out          io.Writer
}

func (d *demo) run(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("containers and networks need root: run `sudo -E go tool task demo`")
	}
	path, err := filepath.Abs(d.pintle)
	if err != nil {
		return err
	}
	d.pintle = path
	for _, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"start a cluster", d.up},
		{"wait for its nodes", d.nodesReady},
		{"build the application's images and import them", d.images},
		{"apply the manifests", d.apply},
		{"wait until everything runs", d.wait},
	} {
		fmt.Fprintf(d.out, "==> %s\n", step.title)
		if err := step.do(ctx); err != nil {
			d.explain(ctx)
			return fmt.Errorf("%s: %w", step.title, err)
		}
	}
	fmt.Fprintln(d.out, "==> fetch the page through its Service")
	visits, err := fetch(ctx, pageURL)
	if err != nil {
		d.explain(ctx)
		return err
	}
	d.goodbye(visits)
	return nil
}

// up starts the cluster, or takes the one that runs already.
func (d *demo) up(ctx context.Context) error {
	if exec.CommandContext(ctx, d.pintle, d.kubectl("get", "--raw", "/readyz")...).Run() == nil {
		fmt.Fprintln(d.out, "a cluster runs already")
		return nil
	}
	return d.call(ctx, d.own("up", "--detach", "--nodes", fmt.Sprint(d.nodes))...)
}

// nodesReady waits until every node of the cluster is registered and ready.
func (d *demo) nodesReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return retry(ctx, func() error {
		list := exec.CommandContext(ctx, d.pintle, d.kubectl("get", "nodes", "--output=name")...)
		names, err := list.Output()
		if err != nil {
			return err
		}
		if len(names) == 0 { // `wait` refuses to wait for nothing
			return errors.New("no node has registered")
		}
		return d.call(ctx, d.kubectl("wait", "--for=condition=ready", "nodes", "--all", "--timeout=60s")...)
	})
}

// retry calls do until it succeeds or ctx ends, which answers do's last error.
func retry(ctx context.Context, do func() error) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := do()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// images builds both programs statically, packs and imports them.
func (d *demo) images(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "pintle-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var archives []string
	for _, name := range []string{"web", "counter"} {
		binary := filepath.Join(dir, name)
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "github.com/pintle-io/pintle/examples/demo/"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
		img := archive.Image{Name: "pintle-demo/" + name + ":1", Binary: binary, User: "65532:65532", Port: 8080}
		if err := archive.WriteFile(binary+".tar", img); err != nil {
			return err
		}
		archives = append(archives, binary+".tar")
	}
	return d.call(ctx, append(d.own("image", "import"), archives...)...)
}

func (d *demo) apply(ctx context.Context) error {
	file := filepath.Join(os.TempDir(), fmt.Sprintf("pintle-demo-%d.yaml", os.Getpid()))
	if err := os.WriteFile(file, manifests.Demo, 0o600); err != nil {
		return err
	}
	defer os.Remove(file)
	return d.call(ctx, d.kubectl("apply", "-f", file)...)
}

func (d *demo) wait(ctx context.Context) error {
	for _, args := range [][]string{
		{"rollout", "status", "deployment/counter", "--namespace=demo", "--timeout=90s"},
		{"rollout", "status", "deployment/web", "--namespace=demo", "--timeout=90s"},
		{"wait", "--for=condition=complete", "job/seed-counter", "--namespace=demo", "--timeout=90s"},
	} {
		if err := d.call(ctx, d.kubectl(args...)...); err != nil {
			return err
		}
	}
	return nil
}

// visitsOnPage is where the page shows its number.
var visitsOnPage = regexp.MustCompile(`id="visits">(\d+)<`)

// fetch gets the page, trying again for a while: a node port may follow the pods
// by a moment.
func fetch(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var visits string
	err := retry(ctx, func() (err error) {
		visits, err = fetchOnce(ctx, url)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", url, err)
	}
	return visits, nil
}

func fetchOnce(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return "", err
	}
	found := visitsOnPage.FindSubmatch(body)
	if res.StatusCode != http.StatusOK || found == nil {
		return "", fmt.Errorf("the page answers %s without a count of visits", res.Status)
	}
	return string(found[1]), nil
}

// explain shows what there is, after something went wrong.
func (d *demo) explain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	for _, args := range [][]string{
		{"get", "pods,services,jobs", "--namespace=demo", "--output=wide"},
		{"events", "--namespace=demo"},
	} {
		_ = d.call(ctx, d.kubectl(args...)...)
	}
}

func (d *demo) goodbye(visits string) {
	fmt.Fprintf(d.out, `
The page works: it counted visit %s.

    %s

Try next (export KUBECONFIG=%s for kubectl):

    %[4]s get all --namespace demo --output wide
    %[4]s logs --namespace demo deployment/web
    %[4]s scale --namespace demo deployment/web --replicas 5
    %[4]s why pod/NAME --namespace demo
    %[4]s delete pod --namespace demo --selector app=web --wait=false
    %[4]s delete namespace demo
    %[4]s down%[5]s
`, visits, pageURL, d.kubeconfig(), d.pintle, d.dataFlag())
}

// own is a command line of pintle's own verbs; kubectl one of kubectl's.
func (d *demo) own(args ...string) []string {
	if d.data != "" {
		args = append(args, "--data", d.data)
	}
	return args
}

func (d *demo) kubectl(args ...string) []string {
	return append(args, "--kubeconfig", d.kubeconfig())
}

func (d *demo) dataFlag() string {
	if d.data == "" {
		return ""
	}
	return " --data " + d.data
}

// defaultData is where pintle keeps a cluster unless told otherwise.
const defaultData = "/var/lib/pintle"

func (d *demo) kubeconfig() string {
	if d.data == "" {
		return filepath.Join(defaultData, "kubeconfig")
	}
	return filepath.Join(d.data, "kubeconfig")
}

// call runs the pintle binary, its output shown as it comes.
func (d *demo) call(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, d.pintle, args...)
	cmd.Stdout, cmd.Stderr = d.out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pintle %s: %w", args[0], err)
	}
	return nil
}
