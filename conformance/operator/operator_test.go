package operator

import (
	"context"
	_ "embed"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-io/pintle/conformance/harness"
	"github.com/pintle-io/pintle/conformance/tlsserver"
)

//go:embed manifest.yaml
var manifest string

// TestMain makes the test's binary the operator's, too.
func TestMain(m *testing.M) {
	if kubeconfig := os.Getenv("OPERATOR_KUBECONFIG"); kubeconfig != "" {
		port, err := strconv.Atoi(os.Getenv("OPERATOR_PORT"))
		if err == nil {
			err = Run(Options{Kubeconfig: kubeconfig, Name: os.Getenv("OPERATOR_NAME"), Port: port, CertDir: os.Getenv("OPERATOR_CERTS")})
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// scene is a cluster with operators.
type scene struct {
	*testing.T
	cluster *harness.Cluster
	client  client.Client
	certs   string
}

// TestOperator: a standby takes over, and neither it nor what it made minds that the
// API server is killed and started again.
func TestOperator(t *testing.T) {
	s := newScene(t)
	first := s.operator("first", freePort(t))
	s.await("the first to lead", func(ctx context.Context) (bool, error) { return s.leader(ctx) != "", nil })
	port := freePort(t)
	s.operator("second", port)
	s.install(port)

	s.create("a", 3)
	s.wantMade("a", 3, "first")
	s.webhooks()
	if err := s.cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.create("b", 5)
	s.wantMade("b", 5, "first")
	s.resize("a", 1)
	s.wantMade("a", 1, "first")

	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.create("c", 1)
	s.wantMade("c", 1, "second")
	s.remove("b", 5)
}

func newScene(t *testing.T) *scene {
	t.Helper()
	binary, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := harness.NewCluster(binary, t.TempDir(), "server")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Kill() })
	cfg, err := cluster.REST()
	if err != nil {
		t.Fatal(err)
	}
	cfg.WarningHandler = rest.NoWarnings{}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	addToScheme(scheme)
	s := &scene{T: t, cluster: cluster, certs: t.TempDir()}
	if s.client, err = client.New(cfg, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	s.apply(definition(manifest))
	return s
}

// definition is the CRD without its converter, which is not running yet.
func definition(all string) string {
	crd, _, _ := strings.Cut(all, "\n---\n")
	before, rest, _ := strings.Cut(crd, "  conversion:\n")
	_, after, _ := strings.Cut(rest, "  versions:\n")
	return before + "  versions:\n" + after
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// apply is kubectl apply.
func (s *scene) apply(text string) {
	s.Helper()
	file := filepath.Join(s.TempDir(), "manifest.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	if out, err := s.cluster.Pintle(s.Context(), "apply", "-f", file); err != nil {
		s.Fatalf("%v\n%s", err, out)
	}
}

// operator starts an operator, which ends with the test.
func (s *scene) operator(name string, port int) *exec.Cmd {
	s.Helper()
	certificate, err := tlsserver.NewCertificate()
	if err != nil {
		s.Fatal(err)
	}
	certs := s.TempDir()
	for file, data := range map[string][]byte{"tls.crt": certificate.Cert, "tls.key": certificate.Key, "ca.crt": certificate.CA} {
		if err := os.WriteFile(filepath.Join(certs, file), data, 0o600); err != nil {
			s.Fatal(err)
		}
	}
	s.certs = certs
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "OPERATOR_KUBECONFIG="+s.cluster.Kubeconfig, "OPERATOR_NAME="+name,
		"OPERATOR_PORT="+strconv.Itoa(port), "OPERATOR_CERTS="+certs)
	cmd.Stdout, cmd.Stderr = s.Output(), s.Output()
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	s.await(name+"'s webhooks to listen", func(ctx context.Context) (bool, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return false, nil
		}
		return true, conn.Close()
	})
	return cmd
}

// install points the cluster at the webhooks of the operator that was started last.
func (s *scene) install(port int) {
	s.Helper()
	ca, err := os.ReadFile(filepath.Join(s.certs, "ca.crt"))
	if err != nil {
		s.Fatal(err)
	}
	s.apply(strings.NewReplacer("$URL", fmt.Sprintf("https://127.0.0.1:%d", port), "$CA", base64.StdEncoding.EncodeToString(ca)).Replace(manifest))
	s.await("the webhooks to be asked", func(ctx context.Context) (bool, error) {
		err := s.client.Create(ctx, bouquet("even", 2), client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "bad luck"), nil
	})
}

func (s *scene) await(what string, done func(ctx context.Context) (bool, error)) {
	s.Helper()
	started := time.Now()
	if err := wait.PollUntilContextTimeout(s.Context(), 50*time.Millisecond, 30*time.Second, true, done); err != nil {
		s.Fatalf("wait for %s: %v", what, err)
	}
	s.Logf("%s: %.2f s", what, time.Since(started).Seconds())
}

// leader is who holds the lease.
func (s *scene) leader(ctx context.Context) string {
	cfg, err := s.cluster.Client()
	if err != nil {
		return ""
	}
	lease, err := cfg.CoordinationV1().Leases(corev1.NamespaceDefault).Get(ctx, "bouquets", metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

func bouquet(name string, flowers int64) *Bouquet {
	return &Bouquet{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceDefault, Name: name}, Spec: BouquetSpec{Flowers: flowers}}
}

func (s *scene) create(name string, flowers int64) {
	s.Helper()
	if err := s.client.Create(s.Context(), bouquet(name, flowers)); err != nil {
		s.Fatal(err)
	}
}

func (s *scene) get(ctx context.Context, name string) (*Bouquet, error) {
	var b Bouquet
	err := s.client.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceDefault, Name: name}, &b)
	return &b, err
}

func (s *scene) resize(name string, flowers int64) {
	s.Helper()
	b, err := s.get(s.Context(), name)
	if err != nil {
		s.Fatal(err)
	}
	b.Spec.Flowers = flowers
	if err := s.client.Update(s.Context(), b); err != nil {
		s.Fatal(err)
	}
}

// flowers lists the ConfigMaps that a bouquet owns.
func (s *scene) flowers(ctx context.Context, name string) (int, error) {
	var maps corev1.ConfigMapList
	if err := s.client.List(ctx, &maps, client.InNamespace(corev1.NamespaceDefault)); err != nil {
		return 0, err
	}
	n := 0
	for i := range maps.Items {
		owner := metav1.GetControllerOf(&maps.Items[i])
		if owner != nil && owner.Name == name && maps.Items[i].Data["colour"] == "red" {
			n++
		}
	}
	return n, nil
}

func (s *scene) wantMade(name string, flowers int64, by string) {
	s.Helper()
	s.await(fmt.Sprintf("%d flowers of %s by the %s", flowers, name, by), func(ctx context.Context) (bool, error) {
		b, err := s.get(ctx, name)
		if err != nil {
			return false, err
		}
		n, err := s.flowers(ctx, name)
		want := BouquetStatus{Flowers: flowers, ObservedGeneration: b.Generation, By: by}
		return b.Status == want && int64(n) == flowers, err
	})
}

// webhooks refuse, default and convert.
func (s *scene) webhooks() {
	ctx := s.Context()
	err := s.client.Create(ctx, bouquet("even", 2))
	if want := `admission webhook "validate.flowers.conformance.example" denied the request: an even number of flowers brings bad luck`; err == nil || err.Error() != want {
		s.Errorf("an invalid bouquet: %v", err)
	}
	second := &BouquetV2{}
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceDefault, Name: "a"}, second); err != nil {
		s.Fatal(err)
	}
	if second.Spec.Stems != 3 || second.Spec.Colour != "red" {
		s.Errorf("read in the other version: %+v", second.Spec)
	}
	second.Spec.Colour = "blue"
	err = s.client.Update(ctx, second)
	if err == nil || !strings.Contains(err.Error(), "flowers do not change their colour") {
		s.Errorf("an update in the other version: %v", err)
	}
}

// remove: the finalizer's work is done, then the bouquet and all it owns go.
func (s *scene) remove(name string, flowers int) {
	s.Helper()
	if n, err := s.flowers(s.Context(), name); err != nil || n != flowers {
		s.Errorf("%d flowers before the removal, %v", n, err)
	}
	if err := s.client.Delete(s.Context(), bouquet(name, 1)); err != nil {
		s.Fatal(err)
	}
	s.await(name+" to go with its flowers", func(ctx context.Context) (bool, error) {
		_, err := s.get(ctx, name)
		if !apierrors.IsNotFound(err) {
			return false, err
		}
		n, err := s.flowers(ctx, name)
		if err != nil || n > 0 {
			return false, err
		}
		return true, s.client.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceDefault, Name: "farewell-" + name}, &corev1.ConfigMap{})
	})
}
